import { useQuery } from "@tanstack/react-query";
import { Lock } from "lucide-react";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../../api/client";
import { useRole, useWho } from "../../api/session";
import { ButtonLink } from "../../ui/button";
import { Badge, Empty, Loading, Problem } from "../../ui/feedback";
import { A, RowLink } from "../../ui/link";
import { Card, CardLink, PageHead, Time } from "../../ui/page";
import { LaunchButton, mayLaunch } from "../safes/launch";
import { Figures, Unwell, useFigures } from "./figures";
import { Needs, useChanges } from "./needs";

/** What a person sees first: what waits for them, where they can go, who is
 * connected, and for those who look after the organization its figures. */
export default function Overview() {
  const { t } = useTranslation();
  const who = useWho();
  const oversees = useRole("owner", "admin", "auditor");
  const stats = useFigures(oversees);
  // Nothing is shown before everything is there, so that nothing jumps; but
  // nothing waits for what fails.
  const waits = [useChanges(), usePlaces(), useConnected(), stats].some((q) => q.isLoading && q.failureCount === 0);
  const org = who.memberships.find((m) => m.org_id === who.org)?.name;
  return (
    <>
      <PageHead title={t("overview.title")} lead={org && <span className="name">{t("overview.lead", { name: org })}</span>} />
      <div className="space-y-6">
        <Unwell stats={stats.data} />
        <Needs />
        {waits ? (
          <Loading />
        ) : who.org ? (
          <>
            {/* Side by side where there is something to launch. */}
            <div className="grid items-start gap-4 lg:grid-cols-[repeat(auto-fit,minmax(24rem,1fr))]">
              <Places few={oversees} />
              <Connected all={oversees} />
            </div>
            {oversees && <Figures />}
          </>
        ) : (
          <Empty title={t("overview.noOrg")}>{t("overview.noOrgLead")}</Empty>
        )}
      </div>
    </>
  );
}

interface Place {
  safe: Schemas["Safe"];
  used?: string;
}

/** The Safes that the caller can launch from, those used last first. */
async function places(user: string): Promise<{ mine: Place[]; any: boolean }> {
  const [safes, sessions] = await Promise.all([
    ok(api.GET("/api/v1/safes", { params: { query: { limit: 100 } } })),
    ok(api.GET("/api/v1/sessions", { params: { query: { user_id: user, limit: 50 } } })),
  ]);
  const used = new Map<string, string>();
  for (const s of sessions) if (!used.has(s.safe_id)) used.set(s.safe_id, s.started_at);
  const listed = new Map(safes.map((s) => [s.id, s]));
  const recent = await Promise.all([...used.keys()].slice(0, 6).map((id) => listed.get(id) ?? ok(api.GET("/api/v1/safes/{id}", { params: { path: { id } } })).catch(() => undefined)));
  const order = new Map([...recent.filter((s) => !!s), ...safes].map((s) => [s.id, s]));
  const mine = [...order.values()].filter((s) => mayLaunch(s) && s.bindings.length > 0).map((safe) => ({ safe, used: used.get(safe.id) }));
  return { mine, any: safes.length > 0 };
}

function usePlaces() {
  const { me, org } = useWho();
  return useQuery({ queryKey: ["safes", "places", me.id], queryFn: () => places(me.id), enabled: !!org });
}

function Places({ few }: { few: boolean }) {
  const { t } = useTranslation();
  const makes = useRole("owner", "admin");
  const { data, error, refetch } = usePlaces();
  if (error) return <Problem error={error} retry={() => void refetch()} />;
  if (!data) return null;
  if (data.mine.length === 0) {
    if (makes && !data.any) {
      return (
        <Empty title={t("safes.empty")} action={<ButtonLink to="/start" kind="primary">{t("start.title")}</ButtonLink>}>
          {t("start.lead")}
        </Empty>
      );
    }
    // Who oversees but launches nothing has other business here.
    return few ? null : <Empty title={t("overview.noPlaces")}>{t("safes.emptyMember")}</Empty>;
  }
  return (
    <Card title={t("overview.places")} actions={<CardLink to="/safes">{t("overview.allSafes")}</CardLink>}>
      <ul className="divide-y divide-line">
        {data.mine.slice(0, few ? 3 : 6).map(({ safe, used }) => (
          <li key={safe.id} className="flex items-center justify-between gap-4 py-3 text-sm first:pt-0 last:pb-0">
            <div className="min-w-0">
              <p className="name line-clamp-2">
                <RowLink to={`/safes/${safe.id}`}>{safe.name}</RowLink>
              </p>
              <p className="name line-clamp-1 text-muted">{safe.description}</p>
              {used && (
                <p className="text-muted">
                  {t("overview.used")} <Time at={used} />
                </p>
              )}
            </div>
            {safe.locked ? (
              <Badge tone="warn">
                <Lock aria-hidden className="size-3" />
                {t("safes.locked")}
              </Badge>
            ) : (
              <LaunchButton safe={safe} compact />
            )}
          </li>
        ))}
      </ul>
    </Card>
  );
}

const rows = 5;

/** The sessions that are open now, as far as the caller may see them. */
function useConnected() {
  const { org } = useWho();
  const query = { status: "active", limit: rows + 1 } as const;
  return useQuery({ queryKey: ["sessions", "now"], queryFn: () => ok(api.GET("/api/v1/sessions", { params: { query } })), enabled: !!org, refetchInterval: 5000 });
}

function Connected({ all }: { all: boolean }) {
  const { t } = useTranslation();
  const { data, error, refetch } = useConnected();
  return (
    <Card title={t(all ? "overview.connected" : "overview.connectedMine")} actions={<CardLink to="/sessions">{t("overview.allSessions")}</CardLink>}>
      <Problem error={error} retry={() => void refetch()} />
      {!data ? null : data.length === 0 ? (
        <p className="text-sm text-muted">{t(all ? "overview.nobody" : "overview.nobodyMine")}</p>
      ) : (
        <ul className="divide-y divide-line text-sm">
          {data.slice(0, rows).map((s) => (
            <li key={s.id} className="flex flex-wrap items-baseline justify-between gap-x-4 py-2.5 first:pt-0 last:pb-0">
              <span className="name min-w-0">
                <RowLink to={`/sessions/${s.id}`}>{all ? s.user_email : s.safe_name || s.safe_id}</RowLink>
                <span className="block text-muted">
                  {all && `${s.safe_name} · `}
                  {s.account_name} {t("safes.at")} {s.resource_name}
                </span>
              </span>
              <span className="text-muted">
                <Time at={s.started_at} />
              </span>
            </li>
          ))}
          {data.length > rows && (
            <li className="pt-2.5">
              <A to="/sessions" search={{ status: "active" }}>
                {t("overview.more")}
              </A>
            </li>
          )}
        </ul>
      )}
    </Card>
  );
}
