import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ApiError, ok, type Schemas } from "../../api/client";
import { useList, useListState } from "../../api/list";
import { useRole } from "../../api/session";
import { Button } from "../../ui/button";
import { ActDialog } from "../../ui/dialog";
import { Empty } from "../../ui/feedback";
import { Checkbox, Field, Input } from "../../ui/field";
import { RowLink } from "../../ui/link";
import { PageHead, Time } from "../../ui/page";
import { DataTable, ListBar, type Column } from "../../ui/table";

export default function GroupList() {
  const { t } = useTranslation();
  const decides = useRole("owner", "admin");
  const [state] = useListState();
  const [creating, setCreating] = useState(false);
  const query = useList("groups", state, (query) => api.GET("/api/v1/org/groups", { params: { query } }));
  const columns: Column<Schemas["Group"]>[] = [
    { label: t("groups.name"), sort: "name", cell: (g) => <RowLink to={`/groups/${g.id}`}><span className="name">{g.name}</span></RowLink> },
    { label: t("groups.members"), short: true, cell: (g) => g.member_count },
    { label: t("groups.source"), wide: true, cell: (g) => t(`groups.sources.${g.source}`) },
    { label: t("groups.created"), wide: "most", short: true, cell: (g) => <Time at={g.created_at} /> },
  ];
  const create = decides && (
    <Button kind="primary" onClick={() => setCreating(true)}>
      <Plus aria-hidden className="size-4" />
      {t("groups.create")}
    </Button>
  );
  return (
    <>
      <PageHead title={t("groups.title")} lead={t("groups.lead")} actions={create} />
      <ListBar />
      <DataTable caption={t("groups.title")} query={query} columns={columns} rowKey={(g) => g.id} empty={<Empty title={t("groups.empty")} action={create}>{t("groups.emptyLead")}</Empty>} />
      {creating && <Create onClose={() => setCreating(false)} />}
    </>
  );
}

function Create({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const navigate = useNavigate();
  const [name, setName] = useState("");
  const [fed, setFed] = useState(false);
  const [problems, setProblems] = useState<Record<string, string>>({});
  return (
    <ActDialog
      title={t("groups.create")}
      label={t("groups.create")}
      disabled={!name.trim()}
      onClose={onClose}
      onError={(e) => setProblems(e instanceof ApiError ? e.fields : {})}
      act={async () => {
        const g = await ok(api.POST("/api/v1/org/groups", { body: { name: name.trim(), source: fed ? "claim" : "manual" } }));
        await client.invalidateQueries({ queryKey: ["groups"] });
        await navigate({ to: `/groups/${g.id}` as never });
      }}
    >
      <Field label={t("groups.name")} error={problems.name}>
        <Input value={name} onChange={(e) => setName(e.target.value)} maxLength={64} autoFocus />
      </Field>
      <Checkbox label={t("groups.fed")} hint={t("groups.fedHint")} checked={fed} onChange={(e) => setFed(e.target.checked)} />
    </ActDialog>
  );
}
