import { useTranslation } from "react-i18next";
import type { Schemas } from "../../api/client";
import { Button } from "../../ui/button";
import { Field, Input, Select, TextArea } from "../../ui/field";

export type Format = NonNullable<Schemas["WebhookIn"]["format"]>;

/** What a form about a webhook holds; events are one a line. */
export interface Draft {
  name: string;
  url: string;
  format: Format;
  events: string;
}

export const formats = ["standard", "slack", "teams"] as const;

const bundles = {
  approvals: ["ACCESS_REQUEST_*", "USER_ACCESS_REQUEST_CREATED"],
  sessions: ["SESSION_*"],
  failures: ["LOGIN_FAILED", "LOGIN_FAILURES_AGGREGATED", "MFA_VERIFICATION_FAILED", "SSO_LOGIN_REFUSED"],
  safes: ["SAFE_*"],
  all: ["*"],
} as const;

/** Types of events that stand in a text, one a line or between commas. */
export const eventsOf = (text: string) => [...new Set(text.split(/[\s,]+/).filter(Boolean))];

export function Fields({ draft, problems, made, set }: { draft: Draft; problems: Record<string, string>; made?: boolean; set: (d: Draft) => void }) {
  const { t } = useTranslation();
  const eventProblem = problems.events ?? Object.entries(problems).find(([field]) => field.startsWith("events["))?.[1];
  return (
    <>
      {!made && (
        <Field label={t("notifications.format")}>
          <Select value={draft.format} onChange={(e) => set({ ...draft, format: e.target.value as Format })}>
            {formats.map((f) => (
              <option key={f} value={f}>
                {t(`notifications.formats.${f}`)}
              </option>
            ))}
          </Select>
        </Field>
      )}
      <Field label={t("notifications.url")} hint={t(draft.format === "standard" ? "notifications.urlHint" : "notifications.urlSecret")} error={problems.url}>
        <Input value={draft.url} onChange={(e) => set({ ...draft, url: e.target.value })} autoComplete="off" spellCheck={false} inputMode="url" placeholder="https://" />
      </Field>
      <Field label={t("notifications.name")} optional error={problems.name}>
        <Input value={draft.name} onChange={(e) => set({ ...draft, name: e.target.value })} autoComplete="off" />
      </Field>
      <Field label={t("notifications.events")} hint={t("notifications.eventsHint")} error={eventProblem}>
        <TextArea rows={4} className="font-mono" value={draft.events} onChange={(e) => set({ ...draft, events: e.target.value })} spellCheck={false} />
      </Field>
      <div className="flex flex-wrap gap-2">
        {Object.entries(bundles).map(([name, types]) => (
          <Button key={name} onClick={() => set({ ...draft, events: [...new Set([...eventsOf(draft.events), ...types])].join("\n") })}>
            {t(`notifications.bundles.${name as keyof typeof bundles}`)}
          </Button>
        ))}
      </div>
    </>
  );
}
