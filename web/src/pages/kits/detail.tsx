import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api, ApiError, ok } from "../../api/client";
import { Alert, Badge, Loading, Problem, type Tone } from "../../ui/feedback";
import { A, RowLink } from "../../ui/link";
import { Unread } from "../../ui/missing";
import { Card, CardLink, Fact, Facts, PageHead, Time } from "../../ui/page";
import { fateOf, kitsOf, made, type Fate } from "./record";
import { Standing, useAccounts, useUnmade } from "./since";

/** A kit by its event, with the other events of the same kit. */
async function load(id: string) {
  const first = await ok(api.GET("/api/v1/audit-events/{id}", { params: { path: { id } } }));
  const [alone] = first.type === made ? kitsOf([first]) : [];
  if (!alone) throw new ApiError(404, "NOT_FOUND", "There is no such object.");
  if (alone.held.size >= alone.accounts) return alone;
  const rest = await ok(api.GET("/api/v1/audit-events", { params: { query: { type: made, target_id: alone.safe.id, q: alone.id, limit: 20 } } }));
  return kitsOf([first, ...rest]).find((k) => k.id === alone.id)!;
}

const tones: Record<Fate, Tone> = { same: "quiet", changed: "warn", gone: "warn", unknown: "plain" };

export default function KitDetail() {
  const { t } = useTranslation();
  const { id } = useParams({ strict: false }) as { id: string };
  const { data: kit, error, refetch } = useQuery({ queryKey: ["kits", id], queryFn: () => load(id) });
  const accounts = useAccounts(kit && [kit]);
  const unmade = useUnmade();
  if (error) return <Unread error={error} retry={() => void refetch()} back={{ to: "/kits", label: t("kits.title") }} />;
  if (!kit) return <Loading />;
  const failed = !!unmade.data?.has(kit.id);
  return (
    <>
      <PageHead title={t("kits.of", { safe: kit.safe.name })} parent={{ to: "/kits", label: t("kits.title") }} badges={<Standing kit={kit} accounts={accounts.data} failed={failed} />} />
      <div className="space-y-6">
        {failed && <Alert tone="info">{t("kits.unmadeLead")}</Alert>}
        <Card title={t("kits.facts")} actions={<CardLink to={`/audit/${kit.event}`}>{t("kits.toEvent")}</CardLink>}>
          <Facts>
            <Fact label={t("kits.safe")}>
              <A to={`/safes/${kit.safe.id}`}>{kit.safe.name}</A>
            </Fact>
            <Fact label={t("kits.maker")}>{kit.maker}</Fact>
            <Fact label={t("kits.time")}>
              <Time at={kit.time} />
            </Fact>
            <Fact label={t("kits.shares")}>{t("kits.ofShares", { needed: kit.threshold, all: kit.shares })}</Fact>
            <Fact label={t("kits.reason")}>{kit.reason}</Fact>
            <Fact label={t("kits.number")}>
              <code className="text-xs break-all">{kit.id}</code>
            </Fact>
          </Facts>
        </Card>
        <Card title={t("kits.inside")}>
          <p className="mb-4 max-w-prose text-sm text-muted">{t("kits.insideLead")}</p>
          {accounts.error ? (
            <Problem error={accounts.error} retry={() => void accounts.refetch()} />
          ) : !accounts.data ? (
            kit.held.size > 0 && <Loading />
          ) : (
            <ul className="divide-y divide-line text-sm">
              {[...kit.held].map(([account, version]) => {
                const now = accounts.data.by.get(account);
                const fate = fateOf(version, now?.credential?.version, accounts.data.complete);
                return (
                  <li key={account} className="flex flex-wrap items-center justify-between gap-x-4 gap-y-1 py-2.5 first:pt-0 last:pb-0">
                    <div className="min-w-0 flex-1 basis-56">
                      {now ? <RowLink to={`/accounts/${account}`}>{now.name}</RowLink> : <code className="text-xs break-all">{account}</code>}
                      <p className="text-muted">{fate === "changed" ? t("kits.versions", { then: version, now: now!.credential!.version }) : t("accounts.version", { n: version })}</p>
                    </div>
                    <Badge tone={tones[fate]}>{t(`kits.fates.${fate}`)}</Badge>
                  </li>
                );
              })}
            </ul>
          )}
        </Card>
      </div>
    </>
  );
}
