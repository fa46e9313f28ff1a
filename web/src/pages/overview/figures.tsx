import { useQuery } from "@tanstack/react-query";
import { ChartColumn, CircleCheck, CircleX, Table2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../../api/client";
import { bytes, count } from "../../format";
import { Button } from "../../ui/button";
import { Alert, Problem } from "../../ui/feedback";
import { A } from "../../ui/link";
import { Plot } from "./plot";

/** Figures of the organization, for those who may see them. They follow by
 * themselves. */
export function useFigures(enabled: boolean) {
  return useQuery({ queryKey: ["stats"], queryFn: () => ok(api.GET("/api/v1/stats")), enabled, refetchInterval: 10_000 });
}

const sessions = (from: string, to: string) => ({ to: "/sessions", search: { from, to } });
const events = (type: string) => (from: string, to: string) => ({ to: "/audit", search: { type, from, to } });

export function Figures() {
  const { t } = useTranslation();
  const { data: s, error, failureReason, refetch } = useFigures(true);
  const [asTable, setAsTable] = useState(false);
  const [days, setDays] = useState(false);
  return (
    <section aria-labelledby="figures" className="space-y-4">
      <div className="flex flex-wrap items-center justify-between gap-2">
        <h2 id="figures" className="text-lg font-semibold">
          {t("overview.figures")}
        </h2>
        <Button kind="quiet" onClick={() => setAsTable(!asTable)}>
          {asTable ? <ChartColumn aria-hidden className="size-4" /> : <Table2 aria-hidden className="size-4" />}
          {t(asTable ? "overview.asPlots" : "overview.asTables")}
        </Button>
      </div>
      <Problem error={error ?? failureReason} retry={() => void refetch()} />
      {s && (
        <>
          <Tiles stats={s} />
          <div className="rounded-lg border border-line bg-surface p-5">
            <div className="float-right ml-4 flex gap-1 rounded-md bg-sunken" role="group" aria-label={t("overview.span")}>
              {[false, true].map((d) => (
                <Button key={String(d)} className="min-h-8 py-1" kind={days === d ? "secondary" : "quiet"} aria-pressed={days === d} onClick={() => setDays(d)}>
                  {t(d ? "overview.days" : "overview.hours")}
                </Button>
              ))}
            </div>
            <Plot title={t("overview.sessions")} rows={days ? s.sessions_per_day : s.sessions_per_hour} width={days ? "day" : "hour"} colour="fill-plot-1" to={sessions} none={t("overview.noSessions")} asTable={asTable} />
          </div>
          <div className="grid gap-4 md:grid-cols-2">
            <div className="rounded-lg border border-line bg-surface p-5">
              <Plot compact title={t("overview.failedLogins")} rows={s.failed_logins_per_hour} width="hour" colour="fill-plot-2" to={events("LOGIN_FAILED")} none={t("overview.noFailedLogins")} asTable={asTable} />
            </div>
            <div className="rounded-lg border border-line bg-surface p-5">
              <Plot compact title={t("overview.refused")} rows={s.refused_launches_per_hour} width="hour" colour="fill-plot-3" to={events("SESSION_REFUSED")} none={t("overview.noRefused")} asTable={asTable} />
            </div>
          </div>
          <Health stats={s} />
        </>
      )}
    </section>
  );
}

function Tiles({ stats: s }: { stats: Schemas["Stats"] }) {
  const { t } = useTranslation();
  const tiles = [
    { label: t("overview.activeSessions"), value: count(s.active_sessions), to: "/sessions", search: { status: "active" } },
    { label: t("safes.title"), value: count(s.safes), to: "/safes" },
    { label: t("resources.title"), value: count(s.resources), to: "/resources" },
    { label: t("accounts.title"), value: count(s.accounts), to: "/accounts" },
    { label: t("members.title"), value: count(s.members), to: "/members" },
    { label: t("recordings.title"), value: count(s.recordings), to: "/recordings", more: bytes(s.recordings_bytes) },
  ];
  return (
    <ul className="grid grid-cols-2 overflow-hidden rounded-lg border border-line bg-surface sm:grid-cols-3 xl:grid-cols-6">
      {tiles.map((x) => (
        <li key={x.label} className="-mt-px -ml-px border-t border-l border-line">
          <A to={x.to} search={x.search} className="flex h-full flex-col gap-0.5 px-4 py-3 -outline-offset-2 hover:bg-sunken">
            <span className="order-2 text-sm text-muted hyphens-auto">{x.label}</span>
            <span className="flex flex-wrap items-baseline gap-x-2 text-xl font-semibold tabular-nums">
              {x.value}
              {x.more && <span className="text-sm font-normal text-muted">{x.more}</span>}
            </span>
          </A>
        </li>
      ))}
    </ul>
  );
}

const known = ["database", "recordings", "vault"];

/** What of the server does not work, for the top of the page. */
export function Unwell({ stats }: { stats?: Schemas["Stats"] }) {
  const { t } = useTranslation();
  const broken = Object.entries(stats?.health.checks ?? {}).flatMap(([name, state]) => (state === "ok" ? [] : [known.includes(name) ? t(`overview.checks.${name}`) : name]));
  if (broken.length === 0) return null;
  return <Alert tone="danger" title={t("overview.unwell")}>{broken.join(", ")}</Alert>;
}

function Health({ stats: s }: { stats: Schemas["Stats"] }) {
  const { t } = useTranslation();
  return (
    <div className="flex flex-wrap items-center gap-x-6 gap-y-2 rounded-lg border border-line bg-surface px-5 py-3 text-sm">
      <h3 className="font-medium text-muted">{t("overview.health")}</h3>
      <ul className="flex flex-wrap gap-x-6 gap-y-2">
        {Object.entries(s.health.checks ?? {}).map(([name, state]) => {
          const good = state === "ok";
          const Icon = good ? CircleCheck : CircleX;
          return (
            <li key={name} className="flex items-center gap-1.5">
              <Icon aria-hidden className={`size-4 ${good ? "text-good-text" : "text-danger-text"}`} />
              {known.includes(name) ? t(`overview.checks.${name}`) : name}
              <span className={good ? "text-muted" : "text-danger-text"}>{t(name === "vault" ? (s.vault.sealed ? "overview.sealed" : "overview.open") : good ? "overview.works" : "overview.fails")}</span>
            </li>
          );
        })}
      </ul>
    </div>
  );
}
