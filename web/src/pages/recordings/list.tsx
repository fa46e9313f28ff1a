import { useTranslation } from "react-i18next";
import { api, type Schemas } from "../../api/client";
import { useList, useListState } from "../../api/list";
import { bytes, clock, duration } from "../../format";
import { Badge, Empty, type Tone } from "../../ui/feedback";
import { rowLink } from "../../ui/link";
import { PageHead, Time } from "../../ui/page";
import { DataTable, Filter, ListBar, type Column } from "../../ui/table";
import { EvidenceFilters } from "../sessions/list";

const tones: Record<string, Tone> = { in_progress: "info", completed: "quiet", error: "danger" };
/** Lengths that people think in, in seconds. */
const lengths = [60, 600, 3600];

export default function RecordingList() {
  const { t } = useTranslation();
  const [state] = useListState();
  const query = useList("recordings", state, (query) => api.GET("/api/v1/recordings", { params: { query } }), { every: 10_000 });
  const columns: Column<Schemas["Recording"]>[] = [
    {
      label: t("recordings.recording"),
      cell: (r) => (
        <>
          <a href={`/recordings/${r.id}`} className={rowLink}>
            {r.safe_name || r.safe_id}
          </a>
          <p className="line-clamp-1 text-muted">
            {r.account_name} {t("safes.at")} {r.resource_name}
          </p>
          <p className="text-muted @xl:hidden">{r.user_email}</p>
        </>
      ),
    },
    { label: t("sessions.user"), wide: true, cell: (r) => r.user_email },
    { label: t("recordings.status"), short: true, cell: (r) => <Badge tone={tones[r.status]}>{t(`recordings.statuses.${r.status}`)}</Badge> },
    { label: t("recordings.started"), wide: true, short: true, cell: (r) => <Time at={r.started_at} /> },
    { label: t("recordings.length"), wide: true, numeric: true, cell: (r) => (r.status === "in_progress" ? "–" : clock(r.duration_ms)) },
    { label: t("recordings.size"), wide: "most", numeric: true, cell: (r) => bytes(r.size_bytes) },
    { label: t("recordings.kept"), wide: "most", short: true, cell: (r) => <Time at={r.expires_at} /> },
  ];
  return (
    <>
      <PageHead title={t("recordings.title")} lead={t("recordings.lead")} />
      <ListBar search={false}>
        <Filter name="status" label={t("recordings.status")} options={Object.fromEntries(Object.keys(tones).map((s) => [s, t(`recordings.statuses.${s}`)]))} />
        <Filter name="min_duration_ms" label={t("recordings.atLeast")} options={Object.fromEntries(lengths.map((s) => [s * 1000, duration(s)]))} />
        <EvidenceFilters />
      </ListBar>
      <DataTable caption={t("recordings.title")} query={query} columns={columns} rowKey={(r) => r.id} empty={<Empty title={t("recordings.empty")}>{t("recordings.emptyLead")}</Empty>} />
    </>
  );
}
