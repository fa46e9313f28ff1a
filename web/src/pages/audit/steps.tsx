import { CircleCheck, CircleDashed, CircleX, Info, LoaderCircle } from "lucide-react";
import { useTranslation } from "react-i18next";
import { count } from "../../format";
import { ApiError } from "../../api/client";
import { Alert, Problem } from "../../ui/feedback";
import { Refuted, type Step, type StepId } from "./verify";

export interface Check {
  state: "idle" | "running" | "good" | "bad";
  steps: Step[];
  error?: unknown;
}

export const idle: Check = { state: "idle", steps: [] };

const numbers = (v: Record<string, string | number>) => Object.fromEntries(Object.entries(v).map(([k, x]) => [k, k !== "count" && typeof x === "number" ? count(x) : x]));

/** What was checked, what not yet, and what does not hold. */
export function Steps({ order, check, now }: { order: readonly StepId[]; check: Check; now?: string }) {
  const { t } = useTranslation();
  const bad = check.error instanceof Refuted ? check.error : undefined;
  const done = new Map(check.steps.map((s) => [s.id, s]));
  const next = order.find((id) => !done.has(id));
  return (
    <div className="space-y-4">
      <ol className="space-y-3" aria-live="polite">
        {order.map((id) => {
          const s = done.get(id);
          const failed = bad?.step === id;
          const running = check.state === "running" && id === next;
          const facts = s?.facts ?? (failed ? bad.facts : undefined);
          const Icon = failed ? CircleX : s?.state === "new" ? Info : s ? CircleCheck : running ? LoaderCircle : CircleDashed;
          const colour = failed ? "text-danger-text" : s?.state === "new" ? "text-info-text" : s ? "text-good-text" : "text-faint";
          return (
            <li key={id} className="flex gap-3 text-sm">
              <Icon role="img" aria-label={t(`audit.states.${failed ? "bad" : (s?.state ?? (running ? "running" : "open"))}`)} className={`mt-0.5 size-5 shrink-0 ${colour} ${running ? "animate-spin" : ""}`} />
              <div className="min-w-0 flex-1">
                <p className={`font-medium ${!s && !failed && !running ? "text-muted" : ""}`}>{t(`audit.steps.${id}.title`)}</p>
                <p className={`name ${failed ? "text-danger-text" : "text-muted"}`}>
                  {failed ? t(`audit.why.${bad.reason}`, numbers(bad.values)) : s ? t(`audit.steps.${id}.${s.state}`, numbers(s.values)) : running && now ? now : t(`audit.steps.${id}.what`)}
                </p>
                {facts && Object.keys(facts).length > 0 && (
                  <details className="mt-1">
                    <summary className="w-fit text-accent-text">{t("audit.show")}</summary>
                    <dl className="mt-1 space-y-1 rounded-md bg-sunken p-3 font-mono text-xs">
                      {Object.entries(facts).map(([k, v]) => (
                        <div key={k}>
                          <dt className="text-muted">{/^\d+$/.test(k) ? k : t(`audit.facts.${k}`)}</dt>
                          <dd className="name whitespace-pre-wrap">{v}</dd>
                        </div>
                      ))}
                    </dl>
                  </details>
                )}
              </div>
            </li>
          );
        })}
      </ol>
      {bad && (
        <Alert tone="danger" title={t("audit.refuted")}>
          {t("audit.refutedLead")}
        </Alert>
      )}
      {check.state === "bad" && !bad && (check.error instanceof ApiError ? <Problem error={check.error} /> : <Alert tone="warn">{t("audit.notChecked")}</Alert>)}
    </div>
  );
}
