import { Lock, Plus } from "lucide-react";
import { useTranslation } from "react-i18next";
import { api, type Schemas } from "../../api/client";
import { useList, useListState } from "../../api/list";
import { useRole } from "../../api/session";
import { ButtonLink } from "../../ui/button";
import { Badge, Empty } from "../../ui/feedback";
import { RowLink } from "../../ui/link";
import { PageHead, Time } from "../../ui/page";
import { DataTable, Filter, ListBar, type Column } from "../../ui/table";
import { NamedSafes } from "./emergency";
import { LaunchButton } from "./launch";

export default function SafeList() {
  const { t } = useTranslation();
  const [state] = useListState();
  const makes = useRole("owner", "admin");
  const query = useList("safes", state, (query) => api.GET("/api/v1/safes", { params: { query } }));
  const create = makes && (
    <ButtonLink to="/safes/new" kind="primary">
      <Plus aria-hidden className="size-4" />
      {t("safes.create")}
    </ButtonLink>
  );
  const columns: Column<Schemas["Safe"]>[] = [
    { label: t("safes.name"), sort: "name", cell: (s) => <RowLink to={`/safes/${s.id}`}>{s.name}</RowLink> },
    { label: t("safes.description"), wide: "most", cell: (s) => <span className="line-clamp-2 text-muted">{s.description}</span> },
    {
      label: t("safes.state"),
      short: true,
      cell: (s) =>
        s.locked ? (
          <Badge tone="warn">
            <Lock aria-hidden className="size-3" />
            {t("safes.locked")}
          </Badge>
        ) : (
          <Badge tone="quiet">{t("safes.open")}</Badge>
        ),
    },
    { label: t("safes.role"), wide: true, short: true, cell: (s) => (s.role ? t(`safes.roles.${s.role}`) : <span className="text-faint">{t("safes.noRole")}</span>) },
    { label: t("safes.created"), sort: "created_at", wide: "most", short: true, cell: (s) => <Time at={s.created_at} /> },
    { label: t("safes.action"), act: true, cell: (s) => <LaunchButton safe={s} compact /> },
  ];
  return (
    <>
      <PageHead title={t("safes.title")} lead={t("safes.lead")} actions={create} />
      <ListBar>
        <Filter name="locked" label={t("safes.state")} options={{ false: t("safes.open"), true: t("safes.locked") }} />
      </ListBar>
      <DataTable
        caption={t("safes.title")}
        query={query}
        columns={columns}
        rowKey={(s) => s.id}
        empty={
          <Empty title={t("safes.empty")} action={create}>
            {t(makes ? "safes.emptyMaker" : "safes.emptyMember")}
          </Empty>
        }
      />
      <NamedSafes />
    </>
  );
}
