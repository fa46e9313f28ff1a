import { useTranslation } from "react-i18next";
import { api } from "../../api/client";
import { useList, useListState } from "../../api/list";
import { Empty } from "../../ui/feedback";
import { RowLink } from "../../ui/link";
import { PageHead, Time } from "../../ui/page";
import { DataTable, Filter, ListBar, type Column } from "../../ui/table";
import { words } from "../../ui/words";
import { RotationActs } from "./acts";
import { By } from "./card";
import { StateBadge, states, Versions, type Rotation } from "./state";
import { AccountTabs } from "./tabs";

export default function RotationList() {
  const { t } = useTranslation();
  const [state] = useListState();
  const query = useList<Rotation>("rotations", state, (query) => api.GET("/api/v1/rotations", { params: { query } }), { every: 5000 });
  const columns: Column<Rotation>[] = [
    { label: t("rotations.account"), cell: (r) => <RowLink to={`/accounts/${r.account_id}`}>{r.account_name || r.account_id}</RowLink> },
    { label: t("rotations.state"), short: true, cell: (r) => <StateBadge state={r.state} /> },
    { label: t("rotations.problem"), wide: true, cell: (r) => (r.problem ? words(t, r.problem) : <span className="text-faint">–</span>) },
    { label: t("rotations.trigger"), wide: true, cell: (r) => t(`rotations.triggers.${r.trigger}`) },
    { label: t("rotations.versions"), wide: "most", short: true, cell: (r) => <Versions of={r} /> },
    { label: t("rotations.by"), wide: "most", cell: (r) => <By user={r.requested_by} /> },
    { label: t("rotations.began"), wide: "most", short: true, cell: (r) => <Time at={r.created_at} /> },
    { label: t("rotations.acts"), act: true, cell: (r) => <RotationActs of={r} /> },
  ];
  return (
    <>
      <PageHead title={t("rotations.title")} parent={{ to: "/accounts", label: t("accounts.title") }} lead={t("rotations.lead")} />
      <AccountTabs />
      <ListBar search={false}>
        <Filter name="state" label={t("rotations.state")} options={Object.fromEntries(states.map((s) => [s, t(`rotations.states.${s}`)]))} />
        <Filter name="open" label={t("rotations.shown")} options={{ true: t("rotations.openOnly") }} />
      </ListBar>
      <DataTable caption={t("rotations.title")} query={query} columns={columns} rowKey={(r) => r.id} empty={<Empty title={t("rotations.empty")}>{t("rotations.emptyLead")}</Empty>} />
    </>
  );
}
