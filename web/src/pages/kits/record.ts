// What the audit log says of kits. The server keeps no kit: its events are all
// that is left of one.
import type { Schemas } from "../../api/client";

type Event = Schemas["AuditEvent"];

export const made = "BREAK_GLASS_KIT_CREATED";

export interface KitRecord {
  id: string;
  /** The event under which it is found: that of the first part. */
  event: string;
  time: string;
  maker: string;
  safe: { id: string; name: string };
  shares: number;
  threshold: number;
  reason: string;
  /** How many secrets are in it; held may be fewer, where parts are missing. */
  accounts: number;
  /** Account → version in the kit. */
  held: Map<string, number>;
}

const text = (v: unknown) => (typeof v === "string" ? v : "");
const number = (v: unknown) => (typeof v === "number" && Number.isFinite(v) ? v : 0);

/** "acc_1@7" → account and version. */
function pairOf(v: unknown): [string, number][] {
  const [, id, version] = /^(.+)@(\d+)$/.exec(text(v)) ?? [];
  return id ? [[id, Number(version)]] : [];
}

/** Puts the events of kits together, one record for each kit, in the order of
 * the events. A kit of many accounts has several. */
export function kitsOf(events: Event[]): KitRecord[] {
  const out = new Map<string, KitRecord & { part: number }>();
  for (const e of events) {
    const m = e.metadata as Record<string, unknown>;
    const id = text(m.kit_id);
    const part = number(m.part) || 1;
    const here = {
      id,
      part,
      event: e.id,
      time: e.time,
      maker: e.actor.name || e.actor.id,
      safe: { id: e.target.id, name: e.target.name || e.target.id },
      shares: number(m.shares),
      threshold: number(m.threshold),
      reason: text(m.reason),
      accounts: number(m.accounts),
      held: new Map((Array.isArray(m.versions) ? m.versions : []).flatMap(pairOf)),
    };
    const before = out.get(id);
    if (!before) out.set(id, here);
    else out.set(id, { ...(before.part <= part ? before : here), held: new Map([...before.held, ...here.held]) });
  }
  return [...out.values()];
}

/** The kits that were on record and could not be made after all. */
export function unmade(refusals: Event[]): Set<string> {
  return new Set(refusals.map((e) => text((e.metadata as Record<string, unknown>).kit_id)).filter(Boolean));
}

/** What has become of a secret since it was put into a kit. */
export type Fate = "same" | "changed" | "gone" | "unknown";

/** Compares with the version that is in use now; undefined: there is no such
 * account, or nobody knows. */
export function fateOf(version: number, now: number | undefined, complete: boolean): Fate {
  if (now === undefined) return complete ? "gone" : "unknown";
  return now === version ? "same" : "changed";
}
