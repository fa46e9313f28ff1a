import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api, ok } from "../../api/client";
import { Alert, Loading } from "../../ui/feedback";
import { A } from "../../ui/link";
import { Unread } from "../../ui/missing";
import { Card, Fact, Facts, PageHead, Time } from "../../ui/page";
import { CheckoutActs } from "./acts";
import { EmergencyMark, isOut, mostExtensions, StateBadge } from "./state";

export default function CheckoutDetail() {
  const { t } = useTranslation();
  const { id } = useParams({ strict: false }) as { id: string };
  const { data: c, error, refetch } = useQuery({
    queryKey: ["checkouts", id],
    queryFn: () => ok(api.GET("/api/v1/checkouts/{id}", { params: { path: { id } } })),
    refetchInterval: (q) => (q.state.data && isOut(q.state.data) ? 5000 : false),
  });
  if (error) return <Unread error={error} retry={() => void refetch()} back={{ to: "/checkouts", label: t("checkouts.title") }} />;
  if (!c) return <Loading />;
  const account = c.account_name || c.username || c.account_id;
  return (
    <>
      <PageHead
        title={t("checkouts.of", { account, user: c.user_name || c.user_id })}
        parent={{ to: "/checkouts", label: t("checkouts.title") }}
        badges={
          <>
            <StateBadge of={c} />
            <EmergencyMark of={c} />
          </>
        }
        actions={<CheckoutActs of={c} />}
      />
      <div className="space-y-6">
        {c.emergency && <Alert tone="warn">{t("checkouts.emergencyLead")}</Alert>}
        <Card title={t("checkouts.facts")}>
          <Facts>
            <Fact label={t("checkouts.user")}>{c.user_name || c.user_id}</Fact>
            <Fact label={t("checkouts.account")}>
              <A to={`/accounts/${c.account_id}`}>{account}</A> · {t("accounts.version", { n: c.version })}
            </Fact>
            <Fact label={t("checkouts.safe")}>
              <A to={`/safes/${c.safe_id}`}>{c.safe_name || c.safe_id}</A>
            </Fact>
            <Fact label={t("checkouts.reason")}>{c.reason || "–"}</Fact>
            <Fact label={t("checkouts.since")}>
              <Time at={c.created_at} />
            </Fact>
            <Fact label={t(isOut(c) ? "checkouts.until" : "checkouts.ended")}>
              <Time at={isOut(c) ? c.expires_at : c.checked_in_at} />
            </Fact>
            <Fact label={t("checkouts.extensions")}>{t("checkouts.extensionsOf", { n: c.extensions, most: mostExtensions })}</Fact>
            <Fact label={t("checkouts.exclusive")}>{t(c.exclusive ? "checkouts.yes" : "checkouts.no")}</Fact>
            {c.session_id && (
              <Fact label={t("checkouts.session")}>
                <A to={`/sessions/${c.session_id}`}>{c.session_id}</A>
              </Fact>
            )}
            {!isOut(c) && (
              <Fact label={t("checkouts.cause")}>
                <StateBadge of={c} />
              </Fact>
            )}
          </Facts>
        </Card>
      </div>
    </>
  );
}
