import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok } from "../../api/client";
import { Button } from "../../ui/button";
import { ActDialog } from "../../ui/dialog";
import { Badge, Loading } from "../../ui/feedback";
import { History } from "../../ui/history";
import { A } from "../../ui/link";
import { Unread } from "../../ui/missing";
import { Card, Fact, Facts, PageHead, Time } from "../../ui/page";
import { tones } from "./list";

export default function ConfirmationDetail() {
  const { t } = useTranslation();
  const { id } = useParams({ strict: false }) as { id: string };
  const client = useQueryClient();
  const [deciding, setDeciding] = useState<"confirm" | "reject">();
  const params = { path: { id } };
  const { data: c, error, refetch } = useQuery({ queryKey: ["confirmations", id], queryFn: () => ok(api.GET("/api/v1/confirmations/{id}", { params })) });
  const safe = useQuery({ queryKey: ["safes", c?.safe_id], enabled: !!c, queryFn: () => ok(api.GET("/api/v1/safes/{id}", { params: { path: { id: c!.safe_id } } })) });
  if (error) return <Unread error={error} retry={() => void refetch()} back={{ to: "/confirmations", label: t("confirmations.title") }} />;
  if (!c) return <Loading />;
  // A redirection that was rejected goes on holding credentials back, and may
  // still be confirmed.
  const waits = c.status === "pending" || (c.status === "rejected" && c.kind === "redirection");
  return (
    <>
      <PageHead
        title={c.summary}
        parent={{ to: "/confirmations", label: t("confirmations.title") }}
        badges={<Badge tone={c.status === "confirmed" ? "good" : tones[c.status]}>{t(`confirmations.statuses.${c.status}`)}</Badge>}
        actions={
          waits &&
          safe.data?.role === "manager" && (
            <>
              {c.status === "pending" && <Button onClick={() => setDeciding("reject")}>{t("confirmations.reject")}</Button>}
              <Button kind="primary" onClick={() => setDeciding("confirm")}>
                {t("confirmations.confirm")}
              </Button>
            </>
          )
        }
      />
      <div className="space-y-6">
        <Card title={t("confirmations.about")}>
          <Facts>
            <Fact label={t("confirmations.kind")}>{t(`confirmations.kinds.${c.kind}`)}</Fact>
            <Fact label={t("confirmations.target")}>
              <A to={`/${c.target_type === "policy" ? "policies" : `${c.target_type}s`}/${c.target_id}`}>{t(`confirmations.targets.${c.target_type}`)}</A>
            </Fact>
            <Fact label={t("confirmations.safe")}>
              <A to={`/safes/${c.safe_id}`}>{safe.data?.name ?? c.safe_id}</A>
            </Fact>
            <Fact label={t("confirmations.since")}>
              <Time at={c.created_at} />
            </Fact>
          </Facts>
        </Card>
        <History target={id} />
      </div>
      {deciding && (
        <ActDialog
          title={t(`confirmations.${deciding}`)}
          label={t(`confirmations.${deciding}`)}
          kind={deciding === "confirm" ? "primary" : "danger"}
          onClose={() => setDeciding(undefined)}
          act={async () => {
            await ok(deciding === "confirm" ? api.POST("/api/v1/confirmations/{id}/confirm", { params }) : api.POST("/api/v1/confirmations/{id}/reject", { params }));
            await client.invalidateQueries();
          }}
        >
          <p className="text-sm text-muted">{t(`confirmations.${deciding}Lead.${c.kind}`)}</p>
        </ActDialog>
      )}
    </>
  );
}
