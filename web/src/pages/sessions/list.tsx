import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../../api/client";
import { useList, useListState } from "../../api/list";
import { bytes } from "../../format";
import { Button } from "../../ui/button";
import { ActDialog } from "../../ui/dialog";
import { Badge, Empty, type Tone } from "../../ui/feedback";
import { Field, Input } from "../../ui/field";
import { RowLink } from "../../ui/link";
import { PageHead, Time } from "../../ui/page";
import { DataTable, DateFilter, Filter, ListBar, PickFilter, type Column } from "../../ui/table";
import { EmergencyMark } from "../checkouts/state";

export const tones: Record<string, Tone> = { pending: "info", active: "good", ended: "quiet", failed: "danger" };
export const isOpen = (s: Schemas["Session"]) => s.status === "pending" || s.status === "active";

export default function SessionList() {
  const { t } = useTranslation();
  const [state] = useListState();
  const [ending, setEnding] = useState<Schemas["Session"]>();
  // Live sessions come and go; the list follows by itself.
  const query = useList("sessions", state, (query) => api.GET("/api/v1/sessions", { params: { query } }), { every: 3000 });
  const columns: Column<Schemas["Session"]>[] = [
    {
      label: t("sessions.target"),
      cell: (s) => (
        <>
          <RowLink to={`/sessions/${s.id}`}>{s.safe_name || s.safe_id}</RowLink>
          <p className="line-clamp-1 text-muted">
            {s.account_name} {t("safes.at")} {s.resource_name}
          </p>
          <p className="text-muted @xl:hidden">{s.user_email}</p>
        </>
      ),
    },
    { label: t("sessions.user"), wide: true, cell: (s) => s.user_email },
    {
      label: t("sessions.status"),
      short: true,
      cell: (s) => (
        <span className="flex flex-wrap gap-1">
          <Badge tone={tones[s.status]}>{t(`sessions.statuses.${s.status}`)}</Badge>
          <EmergencyMark of={s} />
        </span>
      ),
    },
    { label: t("sessions.started"), wide: true, short: true, cell: (s) => <Time at={s.started_at} /> },
    { label: t("sessions.ended"), wide: "most", short: true, cell: (s) => (isOpen(s) ? <span className="text-faint">–</span> : <Time at={s.ended_at} />) },
    { label: t("sessions.output"), wide: "most", numeric: true, cell: (s) => bytes(s.bytes_out) },
    { label: t("sessions.action"), act: true, cell: (s) => isOpen(s) && <Button className="min-h-8 py-1" onClick={() => setEnding(s)}>{t("sessions.terminate")}</Button> },
  ];
  return (
    <>
      <PageHead title={t("sessions.title")} lead={t("sessions.lead")} />
      <ListBar search={false}>
        <Filter name="status" label={t("sessions.status")} options={Object.fromEntries(Object.keys(tones).map((s) => [s, t(`sessions.statuses.${s}`)]))} />
        <EvidenceFilters />
      </ListBar>
      <DataTable caption={t("sessions.title")} query={query} columns={columns} rowKey={(s) => s.id} empty={<Empty title={t("sessions.empty")}>{t("sessions.emptyLead")}</Empty>} />
      {ending && <Terminate session={ending} onClose={() => setEnding(undefined)} />}
    </>
  );
}

/** The filters that sessions and recordings share: user, Safe, resource, date. */
export function EvidenceFilters() {
  const { t } = useTranslation();
  return (
    <>
      <PickFilter name="user_id" label={t("sessions.user")} load={async () => (await ok(api.GET("/api/v1/org/members", { params: { query: {} } }))).map((m) => [m.user_id, m.email])} />
      <PickFilter name="safe_id" label={t("sessions.safe")} load={async () => (await ok(api.GET("/api/v1/safes", { params: { query: {} } }))).map((s) => [s.id, s.name])} />
      <PickFilter name="resource_id" label={t("sessions.resource")} load={async () => (await ok(api.GET("/api/v1/resources", { params: { query: {} } }))).map((r) => [r.id, r.name])} />
      <DateFilter name="from" label={t("sessions.from")} />
      <DateFilter name="to" label={t("sessions.to")} end />
    </>
  );
}

export function Terminate({ session, onClose }: { session: Schemas["Session"]; onClose: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [reason, setReason] = useState("");
  return (
    <ActDialog
      title={t("sessions.terminateTitle")}
      label={t("sessions.terminate")}
      kind="danger"
      onClose={onClose}
      act={async () => {
        await ok(api.POST("/api/v1/sessions/{id}/terminate", { params: { path: { id: session.id } }, body: { reason: reason || undefined } }));
        await client.invalidateQueries({ queryKey: ["sessions"] });
      }}
    >
      <p className="name text-sm text-muted">{t("sessions.terminateLead", { user: session.user_email, safe: session.safe_name })}</p>
      <Field label={t("sessions.reason")} hint={t("sessions.reasonHint")} optional>
        <Input value={reason} onChange={(e) => setReason(e.target.value)} autoFocus />
      </Field>
    </ActDialog>
  );
}
