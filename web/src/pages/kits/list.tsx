import { useTranslation } from "react-i18next";
import { api, ok } from "../../api/client";
import { useList, useListState } from "../../api/list";
import { count } from "../../format";
import { Empty } from "../../ui/feedback";
import { A, RowLink } from "../../ui/link";
import { PageHead, Time } from "../../ui/page";
import { DataTable, DateFilter, ListBar, PickFilter, type Column } from "../../ui/table";
import { kitsOf, made, type KitRecord } from "./record";
import { Standing, useAccounts, useUnmade } from "./since";

export default function KitList() {
  const { t } = useTranslation();
  const [state] = useListState();
  const query = useList<KitRecord>("kits", state, async (query) => {
    const a = await api.GET("/api/v1/audit-events", { params: { query: { ...query, type: made } } });
    return { ...a, data: a.data && kitsOf(a.data) };
  });
  const accounts = useAccounts(query.data?.rows);
  const unmade = useUnmade();
  const columns: Column<KitRecord>[] = [
    {
      label: t("kits.safe"),
      cell: (k) => (
        <>
          <RowLink to={`/kits/${k.event}`}>{k.safe.name}</RowLink>
          <p className="name line-clamp-2 text-muted">{k.reason}</p>
          <p className="text-muted @xl:hidden">
            <span className="name">{k.maker}</span> · <Time at={k.time} />
          </p>
        </>
      ),
    },
    { label: t("kits.maker"), wide: true, cell: (k) => k.maker },
    { label: t("kits.time"), wide: true, short: true, cell: (k) => <Time at={k.time} /> },
    { label: t("kits.secrets"), wide: "most", numeric: true, cell: (k) => count(k.accounts) },
    { label: t("kits.shares"), wide: "most", short: true, cell: (k) => t("kits.ofShares", { needed: k.threshold, all: k.shares }) },
    { label: t("kits.standing"), short: true, cell: (k) => <Standing kit={k} accounts={accounts.data} failed={!!unmade.data?.has(k.id)} /> },
  ];
  return (
    <>
      <PageHead title={t("kits.title")} lead={t("kits.lead")} />
      <ListBar search={false}>
        <PickFilter name="target_id" label={t("kits.safe")} load={async () => (await ok(api.GET("/api/v1/safes", { params: { query: {} } }))).map((s) => [s.id, s.name])} />
        <DateFilter name="from" label={t("sessions.from")} />
        <DateFilter name="to" label={t("sessions.to")} end />
      </ListBar>
      <DataTable
        caption={t("kits.title")}
        query={query}
        columns={columns}
        rowKey={(k) => k.event}
        empty={
          <Empty title={t("kits.empty")}>
            {t("kits.emptyLead")} <A to="/safes">{t("safes.title")}</A>
          </Empty>
        }
      />
    </>
  );
}
