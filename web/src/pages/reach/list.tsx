import { Download } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok } from "../../api/client";
import { useList, useListState } from "../../api/list";
import { Button } from "../../ui/button";
import { Empty, Problem } from "../../ui/feedback";
import { PageHead } from "../../ui/page";
import { save } from "../../ui/save";
import { DataTable, ListBar, PickFilter } from "../../ui/table";
import { useColumns } from "./columns";

/** Who can reach what, by which rule, and what a launch would come to now. */
export default function AccessList() {
  const { t } = useTranslation();
  const [state] = useListState();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const query = useList("access", state, (query) => api.GET("/api/v1/access", { params: { query } }));
  const columns = useColumns();
  async function download() {
    setBusy(true);
    setError(undefined);
    try {
      const { cursor: _, ...filters } = state;
      save(await ok(api.GET("/api/v1/access/export", { params: { query: { ...filters, format: "csv" } }, parseAs: "blob" })) as unknown as Blob, "access.csv");
    } catch (e) {
      setError(e);
    }
    setBusy(false);
  }
  return (
    <>
      <PageHead
        title={t("reach.title")}
        lead={t("reach.lead")}
        actions={
          <Button busy={busy} onClick={() => void download()}>
            <Download aria-hidden className="size-4" />
            {t("reach.export")}
          </Button>
        }
      />
      {error !== undefined && <Problem error={error} />}
      <ListBar search={false}>
        <PickFilter name="user_id" label={t("reach.who")} load={async () => (await ok(api.GET("/api/v1/org/members", { params: { query: {} } }))).map((m) => [m.user_id, m.email])} />
        <PickFilter name="safe_id" label={t("reach.safe")} load={async () => (await ok(api.GET("/api/v1/safes", { params: { query: {} } }))).map((s) => [s.id, s.name])} />
        <PickFilter name="resource_id" label={t("reach.resource")} load={async () => (await ok(api.GET("/api/v1/resources", { params: { query: {} } }))).map((r) => [r.id, r.name])} />
      </ListBar>
      <DataTable caption={t("reach.title")} query={query} columns={columns} rowKey={(x) => x.safe_id + x.user_id} empty={<Empty title={t("reach.empty")} />} />
    </>
  );
}
