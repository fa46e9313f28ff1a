import { useQuery } from "@tanstack/react-query";
import { useParams, useSearch } from "@tanstack/react-router";
import { ListFilter, ShieldCheck } from "lucide-react";
import { useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../../api/client";
import { count, exact } from "../../format";
import { canonical } from "../../evidence/event";
import { Button, CopyButton } from "../../ui/button";
import { Alert, Badge, Loading } from "../../ui/feedback";
import { A, textLink } from "../../ui/link";
import { Unread } from "../../ui/missing";
import { Card, Fact, Facts, PageHead, Time } from "../../ui/page";
import { useTitle } from "../../ui/title";
import { useTerm } from "./names";
import { grave } from "./query";
import { memory, serverOf } from "./server";
import { idle, Steps, type Check } from "./steps";
import { eventSteps, verifyEvent } from "./verify";

/** Pages of the things that events are about. */
const pages: Record<string, string> = { safe: "safes", resource: "resources", account: "accounts", session: "sessions", confirmation: "confirmations" };

const byPrefix: Record<string, string> = { saf: "safes", res: "resources", acc: "accounts", ses: "sessions", cnf: "confirmations" };

export default function EventDetail() {
  const { t } = useTranslation();
  const term = useTerm();
  const titled = useTitle();
  const { id } = useParams({ strict: false }) as { id: string };
  const { instance } = useSearch({ strict: false }) as { instance?: string };
  const own = instance === "true" ? { instance: "true" } : undefined;
  const { data: e, error, refetch } = useQuery({
    queryKey: ["audit", id, own],
    queryFn: () => ok(api.GET("/api/v1/audit-events/{id}", { params: { path: { id }, query: own && { instance: true } } })),
    // An event gets its place within a second, and never changes after.
    staleTime: Infinity,
    refetchInterval: (q) => (q.state.data?.leaf_index === null ? 500 : false),
  });
  if (error) return <Unread error={error} retry={() => void refetch()} back={{ to: "/audit", label: t("audit.title") }} />;
  if (!e) return <Loading />;
  return (
    <>
      <PageHead
        title={titled(e)}
        parent={{ to: "/audit", search: own, label: t("audit.title") }}
        lead={
          <>
            <Time at={e.time} /> · {exact(e.time)}
          </>
        }
        badges={<Badge tone={grave.has(e.type) ? "warn" : "plain"}>{term("categories", e.category)}</Badge>}
      />
      <div className="space-y-6">
        <Card title={t("audit.what")}>
          <Facts>
            <Fact label={t("audit.actor")}>
              <Party party={e.actor} by="actor_id" instance={own} />
            </Fact>
            <Fact label={t("audit.target")}>
              <Party party={e.target} by="target_id" instance={own} />
            </Fact>
            <Fact label={t("audit.address")}>{e.source_ip ? <Filter search={{ source_ip: e.source_ip, ...own }}>{e.source_ip}</Filter> : <None />}</Fact>
            <Fact label={t("audit.request")}>{e.request_id ? <Filter search={{ q: e.request_id, ...own }}>{e.request_id}</Filter> : <None />}</Fact>
            <Fact label={t("audit.type")}>
              <Filter search={{ type: e.type, ...own }}>{e.type}</Filter>
            </Fact>
            <Fact label={t("audit.id")}>
              <code className="text-xs">{e.id}</code>
            </Fact>
          </Facts>
        </Card>
        <Metadata values={e.metadata} />
        <Evidence key={e.leaf_hash} event={e} instance={!!own} />
      </div>
    </>
  );
}

const None = () => <span className="text-faint">–</span>;

function Filter({ search, children }: { search: Record<string, string>; children: ReactNode }) {
  const { t } = useTranslation();
  return (
    <A to="/audit" search={search} title={t("audit.narrow")}>
      {children}
    </A>
  );
}

function Party({ party: p, by, instance }: { party: Schemas["AuditParty"]; by: "actor_id" | "target_id"; instance?: Record<string, string> }) {
  const { t } = useTranslation();
  const term = useTerm();
  if (!p.id && !p.name) return <None />;
  const page = pages[p.type];
  const shown = p.name || p.id;
  return (
    <>
      {page && p.id ? <A to={`/${page}/${p.id}`}>{shown}</A> : p.type === "recording" && p.id ? <a href={`/recordings/${p.id}`} className={textLink}>{shown}</a> : shown}
      <span className="mt-0.5 flex flex-wrap items-center gap-x-3 text-sm font-normal text-muted">
        {term("things", p.type)}
        {p.id && (
          <A to="/audit" search={{ [by]: p.id, ...instance }} className="inline-flex min-h-[24px] items-center gap-1 text-accent-text hover:underline">
            <ListFilter aria-hidden className="size-3.5" />
            {t(by === "actor_id" ? "audit.allOfActor" : "audit.allOfTarget")}
          </A>
        )}
      </span>
    </>
  );
}

function Metadata({ values }: { values: Record<string, unknown> }) {
  const { t } = useTranslation();
  const all = Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1));
  if (all.length === 0) return null;
  return (
    <Card title={t("audit.metadata")}>
      <dl className="grid gap-x-6 gap-y-2 text-sm sm:grid-cols-[max-content_minmax(0,1fr)]">
        {all.map(([k, v]) => (
          <div key={k} className="contents">
            <dt className="name font-mono text-xs leading-6 text-muted">{k}</dt>
            <dd className="name mb-1 whitespace-pre-wrap sm:mb-0">
              <Value value={v} />
            </dd>
          </div>
        ))}
      </dl>
    </Card>
  );
}

/** A value of the metadata; an id leads to what it names. */
function Value({ value: v }: { value: unknown }) {
  if (v === "" || v === null || (Array.isArray(v) && v.length === 0)) return <None />;
  if (Array.isArray(v)) {
    return (
      <ul>
        {v.map((x, i) => (
          <li key={i} className="name">
            <Value value={x} />
          </li>
        ))}
      </ul>
    );
  }
  const text = String(v);
  const page = /^(saf|res|acc|ses|cnf)_[0-9A-Z]{26}$/.exec(text)?.[1];
  if (page) return <A to={`/${byPrefix[page]}/${text}`}>{text}</A>;
  return <>{text}</>;
}

function Evidence({ event: e, instance }: { event: Schemas["AuditEvent"]; instance: boolean }) {
  const { t } = useTranslation();
  const [check, setCheck] = useState<Check>(idle);

  async function verify(): Promise<void> {
    setCheck({ state: "running", steps: [] });
    try {
      await verifyEvent(e, serverOf(instance), memory, (s) => setCheck((c) => ({ ...c, steps: [...c.steps, s] })));
      setCheck((c) => ({ ...c, state: "good" }));
    } catch (error) {
      setCheck((c) => ({ ...c, state: "bad", error }));
    }
  }

  const placed = e.leaf_index !== null;
  return (
    <Card
      title={t("audit.evidence")}
      actions={
        <Button kind={check.state === "idle" ? "primary" : "secondary"} disabled={!placed} busy={check.state === "running"} onClick={() => void verify()}>
          <ShieldCheck aria-hidden className="size-4" />
          {t(check.state === "idle" ? "audit.verify" : "audit.verifyAgain")}
        </Button>
      }
    >
      <div className="space-y-5">
        <Facts>
          <Fact label={t("audit.place")}>{placed ? t("audit.placeNumber", { number: count(e.leaf_index! + 1) }) : t("audit.noPlace")}</Fact>
          <Fact label={t("audit.leafHash")}>
            <code className="text-xs">{e.leaf_hash}</code>
          </Fact>
        </Facts>
        {check.state === "idle" ? (
          <p className="max-w-prose text-sm text-muted">{t("audit.evidenceLead")}</p>
        ) : (
          <>
            {check.state === "good" && (
              <Alert tone="good" title={t("audit.verified")}>
                {t("audit.verifiedLead")}
              </Alert>
            )}
            <Steps order={eventSteps} check={check} />
          </>
        )}
        <details className="text-sm">
          <summary className="w-fit text-accent-text">{t("audit.raw")}</summary>
          <div className="mt-2 space-y-2">
            <pre tabIndex={0} className="name max-h-96 overflow-auto rounded-md bg-sunken p-3 font-mono text-xs whitespace-pre-wrap">
              {JSON.stringify(JSON.parse(canonical(e)), null, 2)}
            </pre>
            <CopyButton text={canonical(e)} />
          </div>
        </details>
      </div>
    </Card>
  );
}
