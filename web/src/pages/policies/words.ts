// What a policy says, in the words of its reader.
import { useTranslation } from "react-i18next";
import type { Schemas } from "../../api/client";
import { locale } from "../../format";
import { types } from "../resources/form";

export const days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
export const roles = ["owner", "admin", "policy_manager", "operator", "auditor"] as const;

/** The name of a day of the week. 5 January 2026 was a Monday. */
export function dayName(day: string, weekday: "short" | "long" = "short"): string {
  return new Intl.DateTimeFormat(locale(), { weekday, timeZone: "UTC" }).format(new Date(Date.UTC(2026, 0, 5 + days.indexOf(day as (typeof days)[number]))));
}

/** The conditions that a policy has, each with what it asks. */
export function useConditions(): (c: Schemas["PolicyConditions"]) => { label: string; text: string[] }[] {
  const { t } = useTranslation();
  return (c) => {
    const out: { label: string; text: string[] }[] = [];
    if (c.time_window) {
      const windows = c.time_window.windows.map((w) => `${w.days.map((d) => dayName(d)).join(" ")} ${w.from}–${w.to}`);
      out.push({ label: t("policies.hours"), text: [...windows, c.time_window.time_zone] });
    }
    if (c.source_ips?.length) out.push({ label: t("policies.addresses"), text: c.source_ips });
    if (c.resource_types?.length) out.push({ label: t("policies.types"), text: c.resource_types.map((x) => types[x] ?? x) });
    if (c.user_ids?.length) out.push({ label: t("policies.people"), text: c.user_ids });
    if (c.group_ids?.length) out.push({ label: t("policies.groups"), text: c.group_ids });
    if (c.roles?.length) out.push({ label: t("policies.roles"), text: c.roles.map((r) => t(`members.roles.${r}`)) });
    if (c.mfa_required) out.push({ label: t("policies.factor"), text: [t("policies.factorText")] });
    return out;
  };
}
