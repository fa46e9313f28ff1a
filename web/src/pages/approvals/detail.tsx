import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ApiError, ok, type Schemas } from "../../api/client";
import { useWho } from "../../api/session";
import { duration } from "../../format";
import { Button } from "../../ui/button";
import { ActDialog } from "../../ui/dialog";
import { Badge, Loading } from "../../ui/feedback";
import { Field, Select, TextArea } from "../../ui/field";
import { History } from "../../ui/history";
import { A } from "../../ui/link";
import { Unread } from "../../ui/missing";
import { Card, Fact, Facts, PageHead, Time } from "../../ui/page";
import { agreed, tones } from "./list";

const shorter = [900, 3600, 4 * 3600, 8 * 3600, 24 * 3600];

/** One request: what is asked for, what was said, and the grant it became. */
export default function ApprovalDetail() {
  const { t } = useTranslation();
  const { id } = useParams({ strict: false }) as { id: string };
  const { me } = useWho();
  const client = useQueryClient();
  // What came with the address of a letter is taken out of it at once.
  const [link] = useState(() => {
    const text = location.hash.slice(1);
    if (text) history.replaceState(history.state, "", location.pathname + location.search);
    return text || undefined;
  });
  const [open, setOpen] = useState<"approve" | "reject" | "cancel" | "revoke">();
  const params = { path: { id } };
  const { data: r, error, refetch } = useQuery({
    queryKey: ["approvals", id],
    queryFn: () => ok(api.GET("/api/v1/access-requests/{id}", { params })),
    refetchInterval: (q) => (q.state.data?.status === "pending" ? 3000 : false),
  });
  const grant = useQuery({ queryKey: ["grants", r?.grant_id], enabled: !!r?.grant_id, queryFn: () => ok(api.GET("/api/v1/grants/{id}", { params: { path: { id: r!.grant_id! } } })) });
  if (error) return <Unread error={error} retry={() => void refetch()} back={{ to: "/approvals", label: t("approvals.title") }} />;
  if (!r) return <Loading />;
  const mine = r.user_id === me.id;
  const changed = () => client.invalidateQueries();
  return (
    <>
      <PageHead
        title={t("approvals.asks", { who: r.email, safe: r.safe_name })}
        parent={{ to: "/approvals", label: t("approvals.title") }}
        badges={<Badge tone={tones[r.status]}>{t(`approvals.statuses.${r.status}`)}</Badge>}
        actions={
          <>
            {r.can_decide && (
              <>
                <Button onClick={() => setOpen("reject")}>{t("approvals.reject")}</Button>
                <Button kind="primary" onClick={() => setOpen("approve")}>
                  {t("approvals.approve")}
                </Button>
              </>
            )}
            {mine && r.status === "pending" && <Button onClick={() => setOpen("cancel")}>{t("approvals.cancel")}</Button>}
          </>
        }
      />
      <div className="space-y-6">
        <Card title={t("approvals.about")}>
          <Facts>
            <Fact label={t("approvals.reason")}>
              <span className="name">{r.reason}</span>
            </Fact>
            {r.ticket && (
              <Fact label={t("approvals.ticket")}>
                <span className="name">{r.ticket}</span>
              </Fact>
            )}
            <Fact label={t("approvals.safe")}>
              <A to={`/safes/${r.safe_id}`}>{r.safe_name}</A>
            </Fact>
            <Fact label={t("approvals.for")}>{duration(r.duration_seconds)}</Fact>
            {r.command && (
              <Fact label={t("approvals.command")}>
                <code className="name">{r.command}</code>
              </Fact>
            )}
            <Fact label={t("approvals.agreed")}>{t("approvals.of", { n: agreed(r), of: r.approvers })}</Fact>
            {r.status === "pending" && (
              <Fact label={t("approvals.waits")}>
                <Time at={r.expires_at} />
              </Fact>
            )}
          </Facts>
        </Card>
        {r.decisions && r.decisions.length > 0 && (
          <Card title={t("approvals.decisions")}>
            <ul className="divide-y divide-line text-sm">
              {r.decisions.map((d) => (
                <li key={d.user_id} className="space-y-1 py-2.5 first:pt-0 last:pb-0">
                  <p className="flex flex-wrap items-center gap-x-3 gap-y-1">
                    <span className="name font-medium">{d.email}</span>
                    <Badge tone={d.decision === "approve" ? "good" : "danger"}>{t(d.decision === "approve" ? "approvals.statuses.approved" : "approvals.statuses.rejected")}</Badge>
                    {d.duration_seconds ? <span className="text-muted">{duration(d.duration_seconds)}</span> : null}
                    <span className="text-muted">
                      <Time at={d.at} />
                    </span>
                  </p>
                  {d.comment && <p className="name">{d.comment}</p>}
                </li>
              ))}
            </ul>
          </Card>
        )}
        {grant.data && (
          <Card
            title={t("approvals.grant")}
            actions={(grant.data.status === "active" || grant.data.status === "used") && <Button onClick={() => setOpen("revoke")}>{t(mine ? "approvals.giveUp" : "approvals.revoke")}</Button>}
          >
            <Facts>
              <Fact label={t("approvals.status")}>{t(`approvals.grants.${grant.data.status}`)}</Fact>
              <Fact label={t("approvals.until")}>
                <Time at={grant.data.ends_at} />
              </Fact>
            </Facts>
          </Card>
        )}
        <History target={id} />
      </div>
      {(open === "approve" || open === "reject") && <Decide request={r} approve={open === "approve"} link={link} onClose={() => setOpen(undefined)} done={changed} />}
      {open === "cancel" && (
        <ActDialog
          title={t("approvals.cancel")}
          label={t("approvals.cancel")}
          kind="danger"
          onClose={() => setOpen(undefined)}
          act={async () => {
            await ok(api.POST("/api/v1/access-requests/{id}/cancel", { params }));
            await changed();
          }}
        >
          <p className="text-sm text-muted">{t("approvals.cancelLead")}</p>
        </ActDialog>
      )}
      {open === "revoke" && (
        <ActDialog
          title={t(mine ? "approvals.giveUp" : "approvals.revoke")}
          label={t(mine ? "approvals.giveUp" : "approvals.revoke")}
          kind="danger"
          onClose={() => setOpen(undefined)}
          act={async () => {
            await ok(api.DELETE("/api/v1/grants/{id}", { params: { path: { id: r.grant_id! } } }));
            await changed();
          }}
        >
          <p className="text-sm text-muted">{t("approvals.revokeLead")}</p>
        </ActDialog>
      )}
    </>
  );
}

function Decide({ request, approve, link, onClose, done }: { request: Schemas["AccessRequest"]; approve: boolean; link?: string; onClose: () => void; done: () => Promise<unknown> }) {
  const { t } = useTranslation();
  const [seconds, setSeconds] = useState(request.duration_seconds);
  const [comment, setComment] = useState("");
  const [problems, setProblems] = useState<Record<string, string>>({});
  const params = { path: { id: request.id } };
  return (
    <ActDialog
      title={t(approve ? "approvals.approve" : "approvals.reject")}
      label={t(approve ? "approvals.approve" : "approvals.reject")}
      kind={approve ? "primary" : "danger"}
      onClose={onClose}
      onError={(e) => setProblems(e instanceof ApiError ? e.fields : {})}
      act={async () => {
        await ok(
          approve
            ? api.POST("/api/v1/access-requests/{id}/approve", { params, body: { duration_seconds: seconds, comment, link } })
            : api.POST("/api/v1/access-requests/{id}/reject", { params, body: { comment, link } }),
        );
        await done();
      }}
    >
      {approve && (
        <Field label={t("approvals.for")} hint={t("approvals.narrow")} error={problems.duration_seconds}>
          <Select value={seconds} onChange={(e) => setSeconds(Number(e.target.value))}>
            {[...shorter.filter((s) => s < request.duration_seconds), request.duration_seconds].map((s) => (
              <option key={s} value={s}>
                {duration(s)}
              </option>
            ))}
          </Select>
        </Field>
      )}
      <Field label={t("approvals.comment")} error={problems.comment} optional>
        <TextArea rows={2} value={comment} onChange={(e) => setComment(e.target.value)} maxLength={1000} />
      </Field>
    </ActDialog>
  );
}
