import { useQuery } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../../api/client";
import { useRole, useWho } from "../../api/session";
import { Alert, Badge, type Tone } from "../../ui/feedback";
import { Field, Input, Select } from "../../ui/field";
import { EditForm } from "../../ui/form";
import { A } from "../../ui/link";
import { Card, PageHead } from "../../ui/page";
import { words } from "../../ui/words";
import { reason } from "./words";

type Decision = Schemas["AccessDecision"];
const tones: Record<string, Tone> = { allow: "good", deny: "danger", require_approval: "warn", step_up: "info", none: "quiet" };

/** What would happen if somebody came to a Safe, rule by rule. */
export default function TryDecision() {
  const { t } = useTranslation();
  const { me } = useWho();
  const others = useRole("owner", "admin", "policy_manager", "auditor");
  const safes = useQuery({ queryKey: ["safes", "list", "all"], queryFn: () => ok(api.GET("/api/v1/safes", { params: { query: {} } })) });
  const members = useQuery({ queryKey: ["members", "list", "all"], enabled: others, queryFn: () => ok(api.GET("/api/v1/org/members", { params: { query: {} } })) });
  const { safe = "" } = useSearch({ strict: false }) as { safe?: string };
  const [ask, setAsk] = useState({ user: me.id, safe, action: "launch", at: "", from: "" });
  const [answer, setAnswer] = useState<Decision>();
  const set = (change: Partial<typeof ask>) => {
    setAsk({ ...ask, ...change });
    setAnswer(undefined);
  };
  return (
    <>
      <PageHead title={t("policies.try")} parent={others ? { to: "/policies", label: t("policies.title") } : undefined} lead={t("policies.tryLead")} />
      <div className="space-y-6">
        <EditForm
          label={t("policies.ask")}
          save={async () => {
            setAnswer(
              await ok(
                api.POST("/api/v1/access-decisions", {
                  body: { user_id: ask.user, safe_id: ask.safe, action: ask.action as "launch", at: ask.at ? new Date(ask.at).toISOString() : undefined, source_ip: ask.from.trim() || undefined },
                }),
              ),
            );
          }}
        >
          {(problems) => (
            <div className="grid gap-4 sm:grid-cols-2">
              {others && (
                <Field label={t("policies.columns.person")} error={problems.user_id}>
                  <Select value={ask.user} onChange={(e) => set({ user: e.target.value })}>
                    {(members.data ?? [{ user_id: me.id, email: me.email }]).map((m) => (
                      <option key={m.user_id} value={m.user_id}>
                        {m.email}
                      </option>
                    ))}
                  </Select>
                </Field>
              )}
              <Field label={t("policies.columns.safe")} error={problems.safe_id}>
                <Select value={ask.safe} onChange={(e) => set({ safe: e.target.value })} required>
                  <option value="">{t("policies.choose")}</option>
                  {safes.data?.map((s) => (
                    <option key={s.id} value={s.id}>
                      {s.name}
                    </option>
                  ))}
                </Select>
              </Field>
              <Field label={t("policies.wants")}>
                <Select value={ask.action} onChange={(e) => set({ action: e.target.value })}>
                  <option value="launch">{t("policies.toLaunch")}</option>
                  <option value="check_out">{t("policies.toReveal")}</option>
                </Select>
              </Field>
              <Field label={t("policies.at")} hint={t("policies.atHint")} error={problems.at} optional>
                <Input type="datetime-local" value={ask.at} onChange={(e) => set({ at: e.target.value })} />
              </Field>
              <Field label={t("policies.fromAddress")} error={problems.source_ip} optional>
                <Input value={ask.from} onChange={(e) => set({ from: e.target.value })} placeholder="10.1.2.3" />
              </Field>
            </div>
          )}
        </EditForm>
        {answer && <Answer d={answer} reads={others} />}
      </div>
    </>
  );
}

function Answer({ d, reads }: { d: Decision; reads: boolean }) {
  const { t } = useTranslation();
  const tone = d.decision === "allow" ? (d.obligations.length ? "info" : "good") : d.decision === "deny" ? "danger" : "warn";
  return (
    <Card title={t("policies.answer")}>
      <div className="space-y-5">
        <Alert tone={tone} title={t(`policies.outcomes.${d.decision}`)}>
          {d.message && <p>{words(t, d.message)}</p>}
          {d.obligations.map((o) => (
            <p key={o.kind}>{o.kind === "approval" ? t(o.approvers === 2 ? "policies.twoPeople" : "policies.onePerson") : t(`policies.obligations.${o.kind}`)}</p>
          ))}
        </Alert>
        <ol className="divide-y divide-line text-sm">
          {d.reasons.map((r, i) => (
            <li key={i} className="flex flex-wrap items-start justify-between gap-3 py-2.5 first:pt-0 last:pb-0">
              <div className="min-w-0 flex-1">
                <p className="name font-medium">{!r.rule.startsWith("pol_") ? t(`policies.rules.${r.rule}`) : reads ? <A to={`/policies/${r.rule}`}>{r.name}</A> : r.name}</p>
                <p className="name text-muted">{reason(t, r.why)}</p>
              </div>
              <Badge tone={tones[r.effect]}>{t(`policies.outcomes.${r.effect}`)}</Badge>
            </li>
          ))}
        </ol>
      </div>
    </Card>
  );
}
