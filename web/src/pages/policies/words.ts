// What a policy says, in the words of its reader.
import type { TFunction } from "i18next";
import { useTranslation } from "react-i18next";
import type { Schemas } from "../../api/client";
import { locale, when } from "../../format";
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

// Why a rule says what it says: the API's sentence → the key of ours, and what
// stands in it.
const known: [RegExp, string][] = [
  [/^Role in the safe: (.+)$/, "role"],
  [/^No active member/, "noOrg"],
  [/^No member of the safe/, "noMember"],
  [/^An auditor only sees/, "auditor"],
  [/^The role in the safe is (.+), which is not enough$/, "roleLow"],
  [/^The grant (\S+) holds until (\S+)$/, "grant"],
  [/^Whoever is in the organization/, "requestable"],
  [/^Secrets of this safe/, "noCheckout"],
  [/^The safe is locked$/, "locked"],
  [/^Within the valid hours of the safe: (.+)$/, "inHours"],
  [/^Outside of the valid hours of the safe: (.+); there it is (.+)$/, "offHours"],
  [/^The time for which/, "expired"],
  [/^Policies that allow are assigned/, "noneApplies"],
  [/^It is outside of its hours: (.+)$/, "offWindow"],
  [/^The client's address is in none/, "elsewhere"],
  [/^It is about other types/, "otherType"],
  [/^It is about other users/, "otherPeople"],
  [/^The approval of .+ is there/, "approved"],
  [/ the approval of .+, and there is no grant$/, "unapproved"],
  [/^The safe asks to authenticate again$/, "again"],
  [/^The safe asks to authenticate again, which/, "againDone"],
  [/^It demands a second factor$/, "factorAsked"],
  [/^It demands a second factor, which/, "factorShown"],
];
const parts: Record<string, string> = {
  "All its conditions hold": "holds",
  "It has no conditions": "noConditions",
  "it wants the approval of one person": "wantsOne",
  "it wants the approval of 2 different people": "wantsTwo",
  "what denies wins": "deniesWins",
  "it demands a second factor": "demandsFactor",
};

/** What a rule says, for people. What has no words of ours stays as it is. */
export function reason(t: TFunction, why: string): string {
  const said = why.replace(/\.$/, "");
  for (const [pattern, key] of known) {
    const m = pattern.exec(said);
    if (!m) continue;
    const role = key === "role" || key === "roleLow";
    return t(`policies.why.${key}`, { a: role && m[1]! in safeRoles ? t(`safes.roles.${m[1]}`) : m[1], b: key === "grant" ? when(m[2]!) : m[2] });
  }
  const all = said.split("; ");
  return all.every((p) => parts[p]) ? `${all.map((p) => t(`policies.why.${parts[p]}`)).join("; ")}.` : why;
}

const safeRoles: Record<string, true> = { viewer: true, operator: true, manager: true, approver: true };
