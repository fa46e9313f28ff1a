import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { Download } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../../api/client";
import { useList, useListState } from "../../api/list";
import { useRole } from "../../api/session";
import { Button } from "../../ui/button";
import { ActDialog } from "../../ui/dialog";
import { Badge, Empty, Loading, type Tone } from "../../ui/feedback";
import { Field, TextArea } from "../../ui/field";
import { Unread } from "../../ui/missing";
import { PageHead, Time } from "../../ui/page";
import { save } from "../../ui/save";
import { DataTable, Filter, ListBar, type Column } from "../../ui/table";

type Item = Schemas["AccessReviewItem"];
const tones: Record<string, Tone> = { pending: "warn", keep: "good", revoke: "danger", lapsed: "quiet" };

/** One review: what it asks about, and what was decided. */
export default function ReviewDetail() {
  const { t } = useTranslation();
  const { id } = useParams({ strict: false }) as { id: string };
  const manages = useRole("owner", "admin");
  const client = useQueryClient();
  const [state] = useListState();
  const [picked, setPicked] = useState<string[]>([]);
  const [open, setOpen] = useState<"keep" | "revoke" | "close">();
  const params = { path: { id } };
  const { data: r, error, refetch } = useQuery({ queryKey: ["reviews", id], queryFn: () => ok(api.GET("/api/v1/access-reviews/{id}", { params })) });
  const query = useList(`review ${id}`, state, (query) => api.GET("/api/v1/access-reviews/{id}/items", { params: { ...params, query } }));
  if (error) return <Unread error={error} retry={() => void refetch()} back={{ to: "/reviews", label: t("reviews.title") }} />;
  if (!r) return <Loading />;
  const changed = async () => {
    setPicked([]);
    await client.invalidateQueries({ queryKey: ["reviews"] });
    await client.invalidateQueries({ queryKey: [`review ${id}`] });
  };
  const who = (i: Item) => i.email || i.group_name || "";
  const decidable = (i: Item) => r.status === "open" && i.can_decide && (i.decision === "pending" || i.decision === "keep");
  const columns: Column<Item>[] = [
    {
      label: t("reviews.pick"),
      act: true,
      cell: (i) =>
        decidable(i) && (
          <input
            type="checkbox"
            className="size-4"
            aria-label={t("reviews.pickOne", { name: who(i) })}
            checked={picked.includes(i.id)}
            onChange={(e) => setPicked(e.target.checked ? [...picked, i.id] : picked.filter((x) => x !== i.id))}
          />
        ),
    },
    { label: t("reviews.who"), cell: (i) => <span className="name font-medium">{i.email || t("reviews.group", { name: i.group_name })}</span> },
    {
      label: t("reviews.what"),
      cell: (i) => (
        <span className="name">{i.kind === "group_member" ? t("reviews.inGroup", { name: i.group_name }) : t("reviews.roleIn", { role: t(`safes.roles.${i.role_now || i.role}`), safe: i.safe_name })}</span>
      ),
    },
    { label: t("reviews.used"), wide: "most", short: true, cell: (i) => (i.last_used_at ? <Time at={i.last_used_at} /> : "–") },
    {
      label: t("reviews.decision"),
      cell: (i) => (
        <>
          <Badge tone={tones[i.decision]}>{t(`reviews.decisions.${i.decision}`)}</Badge>
          {i.decider && <p className="name mt-1 text-sm text-muted">{i.decider}</p>}
          {i.comment && <p className="name line-clamp-2 text-sm">{i.comment}</p>}
        </>
      ),
    },
  ];
  return (
    <>
      <PageHead
        title={r.name}
        parent={{ to: "/reviews", label: t("reviews.title") }}
        lead={t("reviews.sum", { n: r.counts.total - r.counts.pending, of: r.counts.total, revoked: r.counts.revoke })}
        badges={<Badge tone={r.status === "open" ? "info" : "quiet"}>{t(`reviews.statuses.${r.status}`)}</Badge>}
        actions={
          <>
            <Button onClick={() => void ok(api.GET("/api/v1/access-reviews/{id}/export", { params: { ...params, query: { format: "csv" } }, parseAs: "blob" })).then((file) => save(file as unknown as Blob, "review.csv"))}>
              <Download aria-hidden className="size-4" />
              {t("reviews.export")}
            </Button>
            {manages && r.status === "open" && <Button onClick={() => setOpen("close")}>{t("reviews.close")}</Button>}
          </>
        }
      />
      <p className="mb-4 text-sm text-muted">
        {t(r.status === "open" ? "reviews.dueAt" : "reviews.closedAt")} <Time at={r.status === "open" ? r.due_at : r.closed_at} />. {r.status === "open" && t(`reviews.expiryLead.${r.on_expiry}`)}
      </p>
      <ListBar>
        <Filter name="decision" label={t("reviews.decision")} options={Object.fromEntries(Object.keys(tones).map((d) => [d, t(`reviews.decisions.${d}`)]))} />
        {r.status === "open" && (
          <>
            <Button disabled={picked.length === 0} onClick={() => setOpen("keep")}>
              {t("reviews.keep")}
            </Button>
            <Button kind="danger" disabled={picked.length === 0} onClick={() => setOpen("revoke")}>
              {t("reviews.revoke")}
            </Button>
          </>
        )}
      </ListBar>
      <DataTable caption={r.name} query={query} columns={columns} rowKey={(i) => i.id} empty={<Empty title={t("reviews.nothing")} />} />
      {(open === "keep" || open === "revoke") && <Decide id={id} items={picked} decision={open} onClose={() => setOpen(undefined)} done={changed} />}
      {open === "close" && (
        <ActDialog
          title={t("reviews.close")}
          label={t("reviews.close")}
          onClose={() => setOpen(undefined)}
          act={async () => {
            await ok(api.POST("/api/v1/access-reviews/{id}/close", { params }));
            await changed();
          }}
        >
          <p className="text-sm text-muted">{t("reviews.closeLead", { count: r.counts.pending })}</p>
        </ActDialog>
      )}
    </>
  );
}

function Decide({ id, items, decision, onClose, done }: { id: string; items: string[]; decision: "keep" | "revoke"; onClose: () => void; done: () => Promise<unknown> }) {
  const { t } = useTranslation();
  const [comment, setComment] = useState("");
  return (
    <ActDialog
      title={t(`reviews.${decision}`)}
      label={t(`reviews.${decision}`)}
      kind={decision === "keep" ? "primary" : "danger"}
      onClose={onClose}
      act={async () => {
        await ok(api.POST("/api/v1/access-reviews/{id}/decisions", { params: { path: { id } }, body: { item_ids: items, decision, comment: comment.trim() } }));
        await done();
      }}
    >
      <p className="text-sm text-muted">{t(decision === "keep" ? "reviews.keepLead" : "reviews.revokeLead", { count: items.length })}</p>
      <Field label={t("reviews.comment")} optional>
        <TextArea rows={2} value={comment} onChange={(e) => setComment(e.target.value)} maxLength={1000} />
      </Field>
    </ActDialog>
  );
}
