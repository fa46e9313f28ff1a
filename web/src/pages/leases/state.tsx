// What becomes of a user that was made for a while, in words.
import { useTranslation } from "react-i18next";
import type { Schemas } from "../../api/client";
import { Badge, type Tone } from "../../ui/feedback";
import { useName } from "../audit/names";

export type Lease = Schemas["Lease"];
export type State = Lease["state"];

export const states = ["creating", "active", "revoking", "stuck", "revoked"] as const satisfies State[];

/** How long to wait before leases are read again: the server works on some by
 * itself, and a checkout elsewhere makes others. */
export const pace = (all: Lease[] | undefined) => (all?.some((l) => l.state === "creating" || l.state === "revoking") ? 1500 : 10_000);

/** Whether the server was told to drop the user, and has not managed yet. */
export const late = (l: Lease) => l.state === "revoking" || l.state === "stuck";

/** Whether the user can be dropped now; while it is made, nobody can. */
export const revocable = (l: Lease) => l.state === "active" || late(l);

const problems: Record<string, string> = {
  unreachable: "unreachable",
  "target authentication failed": "login",
  "refused by the target": "refused",
  "host key mismatch": "stranger",
  conflict: "settings",
  moved: "moved",
  forgotten: "forgotten",
  "not found": "gone",
  denied: "held",
  sealed: "later",
  unavailable: "later",
  "too many": "later",
};

/** The key of what a person can do about a problem of the API's. */
export const remedy = (problem: string) => (Object.hasOwn(problems, problem) ? problems[problem]! : "other");

const tones: Record<State, Tone> = { creating: "info", active: "plain", revoking: "info", stuck: "danger", revoked: "quiet" };

export function StateBadge({ state }: { state: State }) {
  const { t } = useTranslation();
  return <Badge tone={tones[state]}>{t(`leases.states.${state}`)}</Badge>;
}

/** What people call the thing; its id where they may not look it up. */
export function Named({ id }: { id: string }) {
  return <span className="name">{useName(id)}</span>;
}
