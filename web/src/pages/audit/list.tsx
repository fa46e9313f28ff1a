import { Download, ShieldCheck, TriangleAlert } from "lucide-react";
import { useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { api, type Schemas } from "../../api/client";
import { useList, useListState } from "../../api/list";
import { exact } from "../../format";
import { Button, ButtonLink } from "../../ui/button";
import { Empty } from "../../ui/feedback";
import { RowLink } from "../../ui/link";
import { PageHead } from "../../ui/page";
import { DataTable, type Column } from "../../ui/table";
import { useTitle } from "../../ui/title";
import { QueryBar } from "./bar";
import { ExportDialog } from "./exporting";
import { useTerm } from "./names";
import { grave, keys, request, type Key } from "./query";

export default function AuditList() {
  const { t } = useTranslation();
  const term = useTerm();
  const titled = useTitle();
  const [state] = useListState();
  const [exporting, setExporting] = useState(false);
  const query = useList("audit", state, (query) => api.GET("/api/v1/audit-events", { params: { query: request(query as Record<string, string>) } }), { every: state.cursor ? undefined : 5000 });
  const instance = state.instance === "true" ? { instance: "true" } : undefined;

  const columns: Column<Schemas["AuditEvent"]>[] = [
    {
      label: t("audit.event"),
      cell: (e) => (
        <>
          <span className="flex items-start gap-1.5">
            {grave.has(e.type) && <TriangleAlert role="img" aria-label={t("audit.grave")} className="mt-0.5 size-4 shrink-0 text-warn-text" />}
            <RowLink to={`/audit/${e.id}`} search={instance}>
              {titled(e)}
            </RowLink>
          </span>
          <span className="name line-clamp-2 text-muted @xl:hidden">{[...new Set([e.actor.name, subject(e)])].filter(Boolean).join(" → ")}</span>
        </>
      ),
    },
    {
      label: t("audit.actor"),
      wide: true,
      cell: (e) => (
        <Narrow by="actor" value={e.actor.id}>
          {e.actor.name || e.actor.id || <None />}
        </Narrow>
      ),
    },
    {
      label: t("audit.target"),
      wide: true,
      cell: (e) =>
        subject(e) || e.target.id ? (
          <>
            <Narrow by="target" value={e.target.id}>
              {subject(e) || term("things", e.target.type)}
            </Narrow>{" "}
            {subject(e) && <span className="text-xs text-muted">{term("things", e.target.type)}</span>}
          </>
        ) : (
          <None />
        ),
    },
    {
      label: t("audit.address"),
      wide: "most",
      cell: (e) => (
        <Narrow by="ip" value={e.source_ip}>
          {e.source_ip ? <span className="font-mono text-xs">{e.source_ip}</span> : <None />}
        </Narrow>
      ),
    },
    {
      label: t("audit.time"),
      cell: (e) => (
        <time dateTime={e.time} className="tabular-nums @xl:whitespace-nowrap">
          {exact(e.time)}
        </time>
      ),
    },
  ];
  return (
    <>
      <PageHead
        title={t("audit.title")}
        lead={t(instance ? "audit.leadInstance" : "audit.lead")}
        actions={
          <>
            <ButtonLink to="/audit/verify" search={instance}>
              <ShieldCheck aria-hidden className="size-4" />
              {t("audit.verifyLog")}
            </ButtonLink>
            <Button onClick={() => setExporting(true)}>
              <Download aria-hidden className="size-4" />
              {t("audit.export")}
            </Button>
          </>
        }
      />
      <QueryBar />
      <DataTable
        caption={t("audit.title")}
        query={query}
        columns={columns}
        rowKey={(e) => e.id}
        empty={<Empty title={t("audit.empty")} />}
        none={query.data?.next ? <p className="rounded-lg border border-line bg-surface p-8 text-center text-sm text-muted">{t("audit.goOn")}</p> : undefined}
      />
      {exporting && <ExportDialog onClose={() => setExporting(false)} />}
    </>
  );
}

/** What the event was about: sessions have no name, but a Safe. */
function subject(e: Schemas["AuditEvent"]): string {
  const { safe, asked_safe } = e.metadata;
  if (e.target.type === "audit_log") return ""; // its name is an id
  return e.target.name || (typeof safe === "string" ? safe : typeof asked_safe === "string" ? asked_safe : "");
}

/** A value of an event that becomes a filter when it is pressed. */
function Narrow({ by, value, children }: { by: Key; value?: string; children: ReactNode }) {
  const { t } = useTranslation();
  const [state, set] = useListState();
  if (!value || state[keys[by]] === value) return <>{children}</>;
  return (
    <button type="button" title={t("audit.narrow")} onClick={() => set({ [keys[by]]: value })} className="name cursor-pointer text-left decoration-dotted underline-offset-4 hover:underline">
      {children}
    </button>
  );
}

const None = () => <span className="text-faint">–</span>;
