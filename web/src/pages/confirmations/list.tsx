import { useTranslation } from "react-i18next";
import { api, type Schemas } from "../../api/client";
import { useList, useListState } from "../../api/list";
import { Badge, Empty, type Tone } from "../../ui/feedback";
import { RowLink } from "../../ui/link";
import { PageHead, Time } from "../../ui/page";
import { DataTable, Filter, ListBar, type Column } from "../../ui/table";

export const tones: Record<string, Tone> = { pending: "warn", confirmed: "quiet", rejected: "danger", superseded: "plain" };

export default function ConfirmationList() {
  const { t } = useTranslation();
  const [state] = useListState();
  const query = useList("confirmations", state, (query) => api.GET("/api/v1/confirmations", { params: { query } }));
  const columns: Column<Schemas["Confirmation"]>[] = [
    { label: t("confirmations.change"), cell: (c) => <RowLink to={`/confirmations/${c.id}`}>{c.summary}</RowLink> },
    { label: t("confirmations.kind"), wide: true, short: true, cell: (c) => t(`confirmations.kinds.${c.kind}`) },
    { label: t("confirmations.status"), short: true, cell: (c) => <Badge tone={tones[c.status]}>{t(`confirmations.statuses.${c.status}`)}</Badge> },
    { label: t("confirmations.since"), short: true, cell: (c) => <Time at={c.created_at} /> },
  ];
  return (
    <>
      <PageHead title={t("confirmations.title")} lead={t("confirmations.lead")} />
      <ListBar search={false}>
        <Filter name="status" label={t("confirmations.status")} options={Object.fromEntries(Object.keys(tones).map((s) => [s, t(`confirmations.statuses.${s}`)]))} />
      </ListBar>
      <DataTable caption={t("confirmations.title")} query={query} columns={columns} rowKey={(c) => c.id} empty={<Empty title={t("confirmations.empty")}>{t("confirmations.emptyLead")}</Empty>} />
    </>
  );
}
