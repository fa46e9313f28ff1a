import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ApiError, ok, type Schemas } from "../../api/client";
import { useWho } from "../../api/session";
import { duration } from "../../format";
import { Button } from "../../ui/button";
import { ActDialog } from "../../ui/dialog";
import { Alert } from "../../ui/feedback";
import { Field, Input, Select, TextArea } from "../../ui/field";
import { A } from "../../ui/link";
import { Time } from "../../ui/page";

/** What stands between the reader and the Safe: an approval that is missing, one
 * that is waited for, or a grant that they hold. */
export function useGate(safe: Schemas["Safe"] | undefined) {
  const { me, role } = useWho();
  const id = safe?.id ?? "";
  const asks = !!safe && !safe.locked && role !== "auditor";
  const decision = useQuery({
    queryKey: ["safes", id, "decision"],
    enabled: asks,
    queryFn: () => ok(api.POST("/api/v1/access-decisions", { body: { safe_id: id } })),
    refetchInterval: (q) => (q.state.data?.decision === "require_approval" ? 5000 : false),
  });
  const outside = safe?.visibility === "requestable" && !safe.role;
  const wanted = asks && (decision.data?.decision === "require_approval" || (outside && decision.data?.decision === "deny"));
  const pending = useQuery({
    queryKey: ["approvals", "pending", id],
    enabled: wanted,
    refetchInterval: 3000,
    queryFn: () => ok(api.GET("/api/v1/access-requests", { params: { query: { safe_id: id, user_id: me.id, status: "pending", limit: 1 } } })),
  });
  const grant = useQuery({
    queryKey: ["grants", "active", id],
    enabled: asks && !!decision.data?.rule.startsWith("grant "),
    queryFn: () => ok(api.GET("/api/v1/grants", { params: { query: { safe_id: id, user_id: me.id, status: "active", limit: 10 } } })),
  });
  return { wanted, pending: pending.data?.[0], grant: grant.data?.find((g) => !g.command_sha256) };
}

/** Says what the gate asks for, and lets the reader ask. */
export function Gate({ safe, gate }: { safe: Schemas["Safe"]; gate: ReturnType<typeof useGate> }) {
  const { t } = useTranslation();
  const [asking, setAsking] = useState(false);
  const client = useQueryClient();
  const changed = () => client.invalidateQueries({ queryKey: ["approvals"] });
  if (gate.grant) {
    return (
      <Alert tone="info">
        {t("safes.granted")} <Time at={gate.grant.ends_at} />
      </Alert>
    );
  }
  if (!gate.wanted) return null;
  return (
    <>
      {gate.pending ? (
        <Alert tone="info" action={<A to={`/approvals/${gate.pending.id}`}>{t("safes.toRequest")}</A>}>
          {t("safes.waitsForApproval")}
        </Alert>
      ) : (
        <Alert tone="info" action={<Button onClick={() => setAsking(true)}>{t("safes.request")}</Button>}>
          {t("safes.needsApproval")}
        </Alert>
      )}
      {asking && <Ask safe={safe} onClose={() => setAsking(false)} done={changed} />}
    </>
  );
}

const lengths = [900, 3600, 4 * 3600, 8 * 3600, 24 * 3600];

function Ask({ safe, onClose, done }: { safe: Schemas["Safe"]; onClose: () => void; done: () => Promise<unknown> }) {
  const { t } = useTranslation();
  const [reason, setReason] = useState("");
  const [ticket, setTicket] = useState("");
  const [seconds, setSeconds] = useState(3600);
  const [problems, setProblems] = useState<Record<string, string>>({});
  return (
    <ActDialog
      title={t("safes.request")}
      label={t("safes.request")}
      disabled={!reason.trim()}
      onClose={onClose}
      onError={(e) => setProblems(e instanceof ApiError ? e.fields : {})}
      act={async () => {
        await ok(api.POST("/api/v1/access-requests", { body: { safe_id: safe.id, reason: reason.trim(), duration_seconds: seconds, ...(ticket.trim() ? { ticket: ticket.trim() } : {}) } }));
        await done();
      }}
    >
      <Field label={t("safes.requestReason")} hint={t("safes.requestReasonHint")} error={problems.reason}>
        <TextArea rows={2} value={reason} onChange={(e) => setReason(e.target.value)} maxLength={1000} autoFocus />
      </Field>
      <Field label={t("safes.requestFor")} error={problems.duration_seconds}>
        <Select value={seconds} onChange={(e) => setSeconds(Number(e.target.value))}>
          {lengths.map((s) => (
            <option key={s} value={s}>
              {duration(s)}
            </option>
          ))}
        </Select>
      </Field>
      <Field label={t("safes.requestTicket")} error={problems.ticket} optional>
        <Input value={ticket} onChange={(e) => setTicket(e.target.value)} maxLength={64} />
      </Field>
    </ActDialog>
  );
}
