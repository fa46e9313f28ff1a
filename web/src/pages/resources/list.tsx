import { Plus } from "lucide-react";
import { useTranslation } from "react-i18next";
import { api, type Schemas } from "../../api/client";
import { useList, useListState } from "../../api/list";
import { useRole } from "../../api/session";
import { ButtonLink } from "../../ui/button";
import { Badge, Empty } from "../../ui/feedback";
import { RowLink } from "../../ui/link";
import { PageHead, Time } from "../../ui/page";
import { DataTable, Filter, ListBar, type Column } from "../../ui/table";
import { types } from "./form";

export default function ResourceList() {
  const { t } = useTranslation();
  const [state] = useListState();
  const makes = useRole("owner", "admin");
  const query = useList("resources", state, (query) => api.GET("/api/v1/resources", { params: { query } }));
  const create = makes && (
    <ButtonLink to="/resources/new" kind="primary">
      <Plus aria-hidden className="size-4" />
      {t("resources.create")}
    </ButtonLink>
  );
  const columns: Column<Schemas["Resource"]>[] = [
    { label: t("resources.name"), sort: "name", cell: (r) => <RowLink to={`/resources/${r.id}`}>{r.name}</RowLink> },
    { label: t("resources.type"), short: true, cell: (r) => types[r.type] ?? r.type },
    {
      label: t("resources.address"),
      cell: (r) => (
        <span className="font-mono text-xs">
          {r.host}:{r.port}
        </span>
      ),
    },
    { label: t("resources.hostKey"), wide: true, short: true, cell: (r) => <HostKeyState resource={r} /> },
    { label: t("resources.created"), sort: "created_at", wide: "most", short: true, cell: (r) => <Time at={r.created_at} /> },
  ];
  return (
    <>
      <PageHead title={t("resources.title")} lead={t("resources.lead")} actions={create} />
      <ListBar>
        {Object.keys(types).length > 1 && <Filter name="type" label={t("resources.type")} options={types} />}
      </ListBar>
      <DataTable
        caption={t("resources.title")}
        query={query}
        columns={columns}
        rowKey={(r) => r.id}
        empty={
          <Empty title={t("resources.empty")} action={create}>
            {t(makes ? "resources.emptyMaker" : "resources.emptyMember")}
          </Empty>
        }
      />
    </>
  );
}

/** Whether the resource's host key is known; "" for protocols without one. */
export function HostKeyState({ resource: r }: { resource: Schemas["Resource"] }) {
  const { t } = useTranslation();
  if (r.type !== "ssh") return <span className="text-faint">–</span>;
  if (r.confirmation_id) return <Badge tone="warn">{t("resources.waits")}</Badge>;
  if (r.host_keys.length > 0) return <Badge tone="quiet">{t("resources.pinned")}</Badge>;
  return r.host_key_policy === "accept_first" ? <Badge tone="info">{t("resources.acceptsFirst")}</Badge> : <Badge tone="warn">{t("resources.notPinned")}</Badge>;
}
