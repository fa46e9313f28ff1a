import { useTranslation } from "react-i18next";
import { api, type Schemas } from "../../api/client";
import { useList, useListState } from "../../api/list";
import { useWho } from "../../api/session";
import { duration } from "../../format";
import { Badge, Empty, type Tone } from "../../ui/feedback";
import { RowLink } from "../../ui/link";
import { PageHead, Time } from "../../ui/page";
import { DataTable, Filter, ListBar, type Column } from "../../ui/table";

export const tones: Record<string, Tone> = { pending: "warn", approved: "good", rejected: "danger", expired: "quiet", cancelled: "quiet" };

/** Requests for access: those that wait for the reader, their own, or all that
 * they may see. */
export default function ApprovalList() {
  const { t } = useTranslation();
  const { me } = useWho();
  const [state] = useListState();
  const { whose, ...rest } = state;
  const narrowed = whose === "mine" ? { ...rest, user_id: me.id } : whose === "todo" ? { ...rest, to_decide: "true" } : rest;
  const query = useList("approvals", narrowed, (query) => api.GET("/api/v1/access-requests", { params: { query } }), { every: 5000 });
  const columns: Column<Schemas["AccessRequest"]>[] = [
    {
      label: t("approvals.who"),
      cell: (r) => (
        <>
          <RowLink to={`/approvals/${r.id}`}>
            <span className="name">{r.email}</span>
          </RowLink>
          <p className="name line-clamp-1 text-sm text-muted">{r.reason}</p>
        </>
      ),
    },
    { label: t("approvals.safe"), cell: (r) => <span className="name">{r.safe_name}</span> },
    { label: t("approvals.for"), wide: true, short: true, cell: (r) => duration(r.granted_seconds || r.duration_seconds) },
    { label: t("approvals.agreed"), wide: "most", short: true, cell: (r) => t("approvals.of", { n: agreed(r), of: r.approvers }) },
    {
      label: t("approvals.status"),
      short: true,
      cell: (r) => <Badge tone={r.can_decide ? "info" : tones[r.status]}>{t(r.can_decide ? "approvals.yours" : `approvals.statuses.${r.status}`)}</Badge>,
    },
    { label: t("approvals.since"), wide: "most", short: true, cell: (r) => <Time at={r.created_at} /> },
  ];
  return (
    <>
      <PageHead title={t("approvals.title")} lead={t("approvals.lead")} />
      <ListBar search={false}>
        <Filter name="whose" label={t("approvals.whose")} options={{ todo: t("approvals.todo"), mine: t("approvals.mine") }} />
        <Filter name="status" label={t("approvals.status")} options={Object.fromEntries(Object.keys(tones).map((s) => [s, t(`approvals.statuses.${s}`)]))} />
      </ListBar>
      <DataTable caption={t("approvals.title")} query={query} columns={columns} rowKey={(r) => r.id} empty={<Empty title={t("approvals.empty")}>{t("approvals.emptyLead")}</Empty>} />
    </>
  );
}

/** How many people have agreed. */
export const agreed = (r: Schemas["AccessRequest"]) => r.decisions?.filter((d) => d.decision === "approve").length ?? 0;
