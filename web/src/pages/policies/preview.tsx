import { useMutation } from "@tanstack/react-query";
import { Eye } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok } from "../../api/client";
import { count } from "../../format";
import { Button } from "../../ui/button";
import { Alert, Badge, Problem, type Tone } from "../../ui/feedback";
import { control } from "../../ui/field";
import { Time } from "../../ui/page";
import { words } from "../../ui/words";

const tones: Record<string, Tone> = { deny: "danger", require_approval: "warn", step_up: "info", allow: "good" };

/** Who would have noticed the policy, or a change of it, in the last days. */
export function Preview({ id, change }: { id: string; change?: Record<string, unknown> }) {
  const { t } = useTranslation();
  const [days, setDays] = useState(30);
  const run = useMutation({ mutationFn: () => ok(api.POST("/api/v1/policies/{id}/preview", { params: { path: { id } }, body: { days, change } as never })) });
  const p = run.data;
  return (
    <div className="space-y-4" role="group" aria-label={t("policies.preview")}>
      <div className="flex flex-wrap items-center gap-3">
        <label className="text-sm">
          <span className="sr-only">{t("policies.lookBack")}</span>
          <select value={days} onChange={(e) => setDays(Number(e.target.value))} className={`min-h-9 px-3 ${control}`}>
            {[7, 30, 90].map((n) => (
              <option key={n} value={n}>
                {t("policies.lastDays", { n })}
              </option>
            ))}
          </select>
        </label>
        <Button busy={run.isPending} onClick={() => run.mutate()}>
          <Eye aria-hidden className="size-4" />
          {t("policies.preview")}
        </Button>
      </div>
      <p className="text-sm text-muted">{t("policies.previewHint")}</p>
      <Problem error={run.error} />
      {p && (
        <div role="status" className="space-y-3">
          <p className="text-sm">
            {t("policies.lookedAt", { n: count(p.attempts) })} {p.truncated && t("policies.truncated")}
          </p>
          {p.weakened_safe_ids.length > 0 && <Alert tone="warn">{t("policies.weakens", { n: count(p.weakened_safe_ids.length) })}</Alert>}
          {p.changes.length === 0 ? (
            <Alert tone="good">{t("policies.nobody")}</Alert>
          ) : (
            <div className="overflow-x-auto" tabIndex={0} role="region" aria-label={t("policies.changes")}>
              <table className="w-full text-left text-sm">
                <caption className="sr-only">{t("policies.changes")}</caption>
                <thead className="border-b border-line text-muted">
                  <tr>
                    {["person", "safe", "before", "after", "times", "lastTime"].map((c) => (
                      <th key={c} scope="col" className="py-2 pr-4 font-medium whitespace-nowrap">
                        {t(`policies.columns.${c}`)}
                      </th>
                    ))}
                  </tr>
                </thead>
                <tbody className="divide-y divide-line">
                  {p.changes.map((c) => (
                    <tr key={c.user_id + c.safe_id + c.before + c.after} title={words(t, c.why)}>
                      <td className="name py-2 pr-4">{c.user_email ?? c.user_id}</td>
                      <td className="name py-2 pr-4">{c.safe_name}</td>
                      <td className="py-2 pr-4">
                        <Badge tone={tones[c.before]}>{t(`policies.outcomes.${c.before}`)}</Badge>
                      </td>
                      <td className="py-2 pr-4">
                        <Badge tone={tones[c.after]}>{t(`policies.outcomes.${c.after}`)}</Badge>
                      </td>
                      <td className="py-2 pr-4 tabular-nums">{count(c.attempts)}</td>
                      <td className="py-2">
                        <Time at={c.last_at} />
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )}
        </div>
      )}
    </div>
  );
}
