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
import { Badge, Empty } from "../../ui/feedback";
import { Checkbox, Field, Input, Select } from "../../ui/field";
import { RowLink } from "../../ui/link";
import { PageHead, Time } from "../../ui/page";
import { DataTable, Filter, ListBar, type Column } from "../../ui/table";

export default function ReviewList() {
  const { t } = useTranslation();
  const begins = useRole("owner", "admin");
  const [state] = useListState();
  const [beginning, setBeginning] = useState(false);
  const query = useList("reviews", state, (query) => api.GET("/api/v1/access-reviews", { params: { query } }));
  const columns: Column<Schemas["AccessReview"]>[] = [
    { label: t("reviews.name"), cell: (r) => <RowLink to={`/reviews/${r.id}`}><span className="name">{r.name}</span></RowLink> },
    { label: t("reviews.progress"), short: true, cell: (r) => t("reviews.of", { n: r.counts.total - r.counts.pending, of: r.counts.total }) },
    { label: t("reviews.status"), short: true, cell: (r) => <Badge tone={r.status === "open" ? "info" : "quiet"}>{t(`reviews.statuses.${r.status}`)}</Badge> },
    { label: t("reviews.due"), wide: true, short: true, cell: (r) => <Time at={r.due_at} /> },
  ];
  const begin = begins && (
    <Button kind="primary" onClick={() => setBeginning(true)}>
      <Plus aria-hidden className="size-4" />
      {t("reviews.begin")}
    </Button>
  );
  return (
    <>
      <PageHead title={t("reviews.title")} lead={t("reviews.lead")} actions={begin} />
      <ListBar search={false}>
        <Filter name="status" label={t("reviews.status")} options={{ open: t("reviews.statuses.open"), closed: t("reviews.statuses.closed") }} />
      </ListBar>
      <DataTable caption={t("reviews.title")} query={query} columns={columns} rowKey={(r) => r.id} empty={<Empty title={t("reviews.empty")} action={begin}>{t("reviews.emptyLead")}</Empty>} />
      {beginning && <Begin onClose={() => setBeginning(false)} />}
    </>
  );
}

const day = 86_400_000;

function Begin({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const navigate = useNavigate();
  const [name, setName] = useState("");
  const [days, setDays] = useState(14);
  const [groups, setGroups] = useState(true);
  const [expiry, setExpiry] = useState<"keep" | "revoke">("keep");
  const [problems, setProblems] = useState<Record<string, string>>({});
  return (
    <ActDialog
      title={t("reviews.begin")}
      label={t("reviews.begin")}
      disabled={!name.trim() || !(days > 0)}
      onClose={onClose}
      onError={(e) => setProblems(e instanceof ApiError ? e.fields : {})}
      act={async () => {
        const r = await ok(api.POST("/api/v1/access-reviews", { body: { name: name.trim(), include_groups: groups, due_at: new Date(Date.now() + days * day).toISOString(), on_expiry: expiry } }));
        await client.invalidateQueries({ queryKey: ["reviews"] });
        await navigate({ to: `/reviews/${r.id}` as never });
      }}
    >
      <p className="text-sm text-muted">{t("reviews.beginLead")}</p>
      <Field label={t("reviews.name")} error={problems.name}>
        <Input value={name} onChange={(e) => setName(e.target.value)} maxLength={256} autoFocus />
      </Field>
      <Field label={t("reviews.days")} error={problems.due_at}>
        <Input type="number" min={1} max={365} value={days} onChange={(e) => setDays(e.target.valueAsNumber)} />
      </Field>
      <Field label={t("reviews.expiry")}>
        <Select value={expiry} onChange={(e) => setExpiry(e.target.value as "keep" | "revoke")}>
          <option value="keep">{t("reviews.expiries.keep")}</option>
          <option value="revoke">{t("reviews.expiries.revoke")}</option>
        </Select>
      </Field>
      <Checkbox label={t("reviews.groups")} checked={groups} onChange={(e) => setGroups(e.target.checked)} />
    </ActDialog>
  );
}
