import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok } from "../../api/client";
import { useList, useListState } from "../../api/list";
import { useRole } from "../../api/session";
import { count } from "../../format";
import { Button } from "../../ui/button";
import { ActDialog } from "../../ui/dialog";
import { Empty } from "../../ui/feedback";
import { A, rowLink } from "../../ui/link";
import { PageHead, Time } from "../../ui/page";
import { DataTable, Filter, ListBar, type Column } from "../../ui/table";
import { useToast } from "../../ui/toast";
import { AccountTabs } from "../rotations/tabs";
import { LeaseDetail } from "./detail";
import { late, Named, pace, remedy, revocable, StateBadge, states, type Lease } from "./state";

export default function LeaseList() {
  const { t } = useTranslation();
  const [state] = useListState();
  const looksOn = useRole("auditor");
  const [seen, setSeen] = useState("");
  const [dropping, setDropping] = useState<Lease>();
  const [every, setEvery] = useState(pace(undefined));
  const query = useList<Lease>("leases", state, (query) => api.GET("/api/v1/leases", { params: { query } }), { every });
  const rows = query.data?.rows;
  if (pace(rows) !== every) setEvery(pace(rows));
  const shown = rows?.find((l) => l.id === seen);
  const columns: Column<Lease>[] = [
    {
      label: t("leases.username"),
      cell: (l) => (
        <>
          <button type="button" className={`${rowLink} text-left font-mono text-xs break-all`} onClick={() => setSeen(l.id)}>
            {l.username}
          </button>
          <p className="name line-clamp-2 text-muted">
            {l.account_name || l.account_id} {t("safes.at")} <Named id={l.resource_id} />
          </p>
        </>
      ),
    },
    {
      label: t("leases.state"),
      cell: (l) => (
        <>
          <StateBadge state={l.state} />
          {l.problem && <p className="mt-1 text-muted">{t(`leases.short.${remedy(l.problem)}`)}</p>}
        </>
      ),
    },
    { label: t("leases.who"), wide: true, cell: (l) => <Named id={l.user_id} /> },
    { label: t("leases.until"), wide: true, short: true, cell: (l) => <Time at={l.expires_at} /> },
    { label: t("leases.since"), wide: "most", short: true, cell: (l) => <Time at={l.created_at} /> },
    { label: t("leases.attempts"), wide: "most", numeric: true, cell: (l) => count(l.attempts) },
    {
      label: t("leases.acts"),
      act: true,
      wide: true, // on a phone it is in the detail
      cell: (l) =>
        !looksOn &&
        revocable(l) && (
          <Button className="min-h-8 py-1 whitespace-nowrap" aria-label={t(late(l) ? "leases.retryOf" : "leases.dropOf", { name: l.username })} onClick={() => setDropping(l)}>
            {t(late(l) ? "leases.retry" : "leases.drop")}
          </Button>
        ),
    },
  ];
  return (
    <>
      <PageHead title={t("leases.title")} parent={{ to: "/accounts", label: t("accounts.title") }} lead={t("leases.lead")} />
      <AccountTabs />
      <ListBar search={false}>
        <Filter name="state" label={t("leases.state")} options={Object.fromEntries(states.map((s) => [s, t(`leases.states.${s}`)]))} />
        <Filter name="open" label={t("leases.shown")} options={{ true: t("leases.openOnly") }} />
      </ListBar>
      <DataTable
        caption={t("leases.title")}
        query={query}
        columns={columns}
        rowKey={(l) => l.id}
        empty={
          <Empty title={t("leases.empty")}>
            {t("leases.emptyLead")} <A to="/accounts">{t("leases.toAccounts")}</A>
          </Empty>
        }
      />
      {shown && !dropping && <LeaseDetail lease={shown} act={!looksOn && revocable(shown) ? () => setDropping(shown) : undefined} onClose={() => setSeen("")} />}
      {dropping && <Drop lease={dropping} onClose={() => setDropping(undefined)} />}
    </>
  );
}

function Drop({ lease: l, onClose }: { lease: Lease; onClose: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const toast = useToast();
  return (
    <ActDialog
      title={t(late(l) ? "leases.retryOf" : "leases.dropOf", { name: l.username })}
      label={t(late(l) ? "leases.retry" : "leases.drop")}
      kind={late(l) ? "primary" : "danger"}
      onClose={onClose}
      act={async () => {
        try {
          await ok(api.POST("/api/v1/leases/{id}/revoke", { params: { path: { id: l.id } } }));
        } finally {
          await client.invalidateQueries({ queryKey: ["leases"] }); // after a refusal, too: somebody else was faster
        }
        toast(t("leases.begun"));
      }}
    >
      <p className="text-sm text-muted">{t(late(l) ? "leases.retryLead" : "leases.dropLead")}</p>
    </ActDialog>
  );
}
