import { FlaskConical, Plus } from "lucide-react";
import { useTranslation } from "react-i18next";
import { api, type Schemas } from "../../api/client";
import { useList, useListState } from "../../api/list";
import { useRole } from "../../api/session";
import { count } from "../../format";
import { ButtonLink } from "../../ui/button";
import { Badge, Empty, type Tone } from "../../ui/feedback";
import { RowLink } from "../../ui/link";
import { PageHead, Time } from "../../ui/page";
import { DataTable, Filter, ListBar, type Column } from "../../ui/table";
import { useConditions } from "./words";

export const statuses: Record<Schemas["Policy"]["status"], Tone> = { draft: "plain", active: "good", disabled: "quiet" };

export default function PolicyList() {
  const { t } = useTranslation();
  const [state] = useListState();
  const writes = useRole("owner", "admin", "policy_manager");
  const conditions = useConditions();
  const query = useList("policies", state, (query) => api.GET("/api/v1/policies", { params: { query } }));
  const create = writes && (
    <ButtonLink to="/policies/new" kind="primary">
      <Plus aria-hidden className="size-4" />
      {t("policies.create")}
    </ButtonLink>
  );
  const columns: Column<Schemas["Policy"]>[] = [
    { label: t("policies.name"), cell: (p) => <RowLink to={`/policies/${p.id}`}>{p.name}</RowLink> },
    { label: t("policies.action"), short: true, cell: (p) => t(`policies.actions.${p.action}`) },
    { label: t("policies.conditions"), wide: "most", cell: (p) => <span className="text-muted">{conditions(p.conditions).map((c) => c.label).join(", ") || t("policies.always")}</span> },
    { label: t("policies.safes"), wide: true, numeric: true, cell: (p) => count(p.safe_ids.length) },
    { label: t("policies.status"), short: true, cell: (p) => <Badge tone={statuses[p.status]}>{t(`policies.statuses.${p.status}`)}</Badge> },
    { label: t("policies.changed"), wide: "most", short: true, cell: (p) => <Time at={p.updated_at} /> },
  ];
  return (
    <>
      <PageHead
        title={t("policies.title")}
        lead={t("policies.lead")}
        actions={
          <>
            <ButtonLink to="/policies/try">
              <FlaskConical aria-hidden className="size-4" />
              {t("policies.try")}
            </ButtonLink>
            {create}
          </>
        }
      />
      <ListBar>
        <Filter name="status" label={t("policies.status")} options={Object.fromEntries(Object.keys(statuses).map((s) => [s, t(`policies.statuses.${s}`)]))} />
      </ListBar>
      <DataTable
        caption={t("policies.title")}
        query={query}
        columns={columns}
        rowKey={(p) => p.id}
        empty={
          <Empty title={t("policies.empty")} action={create}>
            {t("policies.emptyLead")}
          </Empty>
        }
      />
    </>
  );
}
