import { useTranslation } from "react-i18next";
import { api, type Schemas } from "../../api/client";
import { useList, useListState } from "../../api/list";
import { count } from "../../format";
import { Badge, Empty } from "../../ui/feedback";
import { RowLink } from "../../ui/link";
import { PageHead, Time } from "../../ui/page";
import { DataTable, Filter, ListBar, type Column } from "../../ui/table";
import { Flags, flags } from "./state";
import { AccountTabs } from "./tabs";

type Health = Schemas["CredentialHealth"];

export default function CredentialHealth() {
  const { t } = useTranslation();
  const [state] = useListState();
  const query = useList<Health>("credential-health", state, (query) => api.GET("/api/v1/credential-health", { params: { query } }), { limit: 200 });
  const columns: Column<Health>[] = [
    { label: t("rotations.account"), cell: (h) => <RowLink to={`/accounts/${h.account_id}`}>{h.account_name}</RowLink> },
    { label: t("rotations.wants"), cell: (h) => <Flags of={h.flags ?? []} /> },
    { label: t("rotations.age"), wide: true, short: true, cell: (h) => t("rotations.days", { count: h.age_days }) },
    { label: t("rotations.used"), wide: true, short: true, cell: (h) => (h.used_at ? <Time at={h.used_at} /> : <span className="text-muted">{t("rotations.never")}</span>) },
    { label: t("rotations.users"), wide: "most", numeric: true, cell: (h) => count(h.users) },
    { label: t("rotations.check"), wide: "most", short: true, cell: (h) => <Badge tone={h.check === "refused" ? "danger" : h.check === "unreachable" ? "warn" : "quiet"}>{t(`rotations.checks.${h.check}`)}</Badge> },
    { label: t("rotations.checked"), wide: "most", short: true, cell: (h) => <Time at={h.checked_at} /> },
  ];
  return (
    <>
      <PageHead title={t("rotations.health")} parent={{ to: "/accounts", label: t("accounts.title") }} lead={t("rotations.healthLead")} />
      <AccountTabs />
      <ListBar search={false}>
        <Filter name="flag" label={t("rotations.wants")} options={Object.fromEntries(flags.map((f) => [f, t(`rotations.flags.${f}`)]))} />
      </ListBar>
      <DataTable caption={t("rotations.health")} query={query} columns={columns} rowKey={(h) => h.account_id} empty={<Empty title={t("rotations.healthEmpty")}>{t("rotations.healthEmptyLead")}</Empty>} />
    </>
  );
}
