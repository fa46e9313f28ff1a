import { useTranslation } from "react-i18next";
import { api } from "../../api/client";
import { useList, useListState } from "../../api/list";
import { useWho } from "../../api/session";
import { Empty } from "../../ui/feedback";
import { PageHead } from "../../ui/page";
import { DataTable } from "../../ui/table";
import { useColumns } from "./columns";

/** What the reader can reach, and why. */
export default function OwnAccess() {
  const { t } = useTranslation();
  const { me } = useWho();
  const [state] = useListState();
  const query = useList("access", { ...state, user_id: me.id }, (query) => api.GET("/api/v1/access", { params: { query } }));
  const columns = useColumns(true);
  return (
    <>
      <PageHead title={t("reach.own")} lead={t("reach.ownLead")} />
      <DataTable caption={t("reach.own")} query={query} columns={columns} rowKey={(x) => x.safe_id} empty={<Empty title={t("reach.empty")}>{t("reach.ownEmpty")}</Empty>} />
    </>
  );
}
