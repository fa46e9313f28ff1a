// What people type into the query bar, and what of it stands in the URL.
import type { ListState } from "../../api/list";
import catalogue from "./catalogue.json";

export interface EventType {
  type: string;
  title: string;
  category: string;
}

export const types: EventType[] = catalogue.map(([type, title, category]) => ({ type: type!, title: title!, category: category! }));
export const categories = [...new Set(types.map((t) => t.category))];

/** Events that somebody should look at. */
export const grave = new Set([
  "LOGIN_FAILED",
  "LOGIN_FAILURES_AGGREGATED",
  "STEP_UP_FAILED",
  "MFA_VERIFICATION_FAILED",
  "SAFE_WEAKENED",
  "SAFE_TAKEN_OVER",
  "RESOURCE_REDIRECTED",
  "RESOURCE_HOST_KEY_MISMATCH",
  "ACCOUNT_REDIRECTED",
  "CREDENTIAL_ROTATION_FAILED",
  "SESSION_REFUSED",
  "RECORDING_FAILED",
  "RECORDING_RECOVERED",
  "RECORDING_DISABLED_FOR_SESSION",
  "AGENT_PAIRING_FAILED",
  "VAULT_SEALED",
]);

/** A key of the query language → the parameter in the URL and of the API. */
export const keys = { type: "type", category: "category", actor: "actor_id", target: "target_id", ip: "source_ip", from: "from", to: "to" } as const;
export type Key = keyof typeof keys;
export const filterKeys: Key[] = ["type", "category", "actor", "target", "ip"];

/** How far back, in milliseconds. */
export const spans = { "1h": 3_600_000, "24h": 86_400_000, "7d": 7 * 86_400_000, "30d": 30 * 86_400_000 } as const;
export type Span = keyof typeof spans;

export interface Problem {
  kind: "key" | "type" | "category" | "time" | "nobody" | "nothing";
  value: string;
}

export interface Parsed {
  /** Parameters whose values are known. */
  set: ListState;
  /** Names of people and things, whose ids have to be found. */
  names: { actor?: string; target?: string };
  problems: Problem[];
}

const isId = (s: string) => /^[a-z]{2,4}_[0-9A-Za-z]+$/.test(s);
const word = /([A-Za-z]+):(?:"([^"]*)"?|(\S*))|"([^"]*)"?|(\S+)/g;

/** Reads `type:LOGIN_FAILED actor:ann@example.com "any other text"`. A word
 * with an unknown key is text: addresses and times have colons too. */
export function parse(text: string): Parsed {
  const out: Parsed = { set: {}, names: {}, problems: [] };
  const free: string[] = [];
  for (const m of text.matchAll(word)) {
    const key = m[1]?.toLowerCase();
    const value = (m[2] ?? m[3] ?? "").trim();
    if (!key || !(key in keys)) {
      const t = (m[4] ?? m[0]).trim();
      if (t) free.push(t);
    } else if (!value) {
      out.problems.push({ kind: "key", value: key });
    } else {
      take(out, key as Key, value);
    }
  }
  if (free.length > 0) out.set.q = free.join(" ");
  return out;
}

function take(out: Parsed, key: Key, value: string): void {
  const wrong = (kind: Problem["kind"]) => out.problems.push({ kind, value });
  switch (key) {
    case "type": {
      const found = typeOf(value);
      if (found) out.set.type = found.type;
      else wrong("type");
      return;
    }
    case "category":
      if (categories.includes(value.toLowerCase())) out.set.category = value.toLowerCase();
      else wrong("category");
      return;
    case "actor":
    case "target":
      if (isId(value)) out.set[keys[key]] = value;
      else out.names[key] = value;
      return;
    case "from":
    case "to": {
      // A day by itself is the day here, and "to" a day is to its end.
      const day = /^\d{4}-\d{2}-\d{2}$/.test(value);
      const at = new Date(day ? `${value}T00:00:00` : value);
      if (day && key === "to") at.setDate(at.getDate() + 1);
      if (Number.isNaN(at.getTime())) wrong("time");
      else out.set[key] = at.toISOString();
      return;
    }
    default:
      out.set[keys[key]] = value;
  }
}

/** The type that is meant by LOGIN_FAILED, "login failed" or a beginning that
 * no other type has. */
export function typeOf(text: string): EventType | undefined {
  const wanted = text.toUpperCase().replaceAll(/[\s-]+/g, "_");
  const begin = types.filter((t) => t.type.startsWith(wanted));
  return types.find((t) => t.type === wanted) ?? (begin.length === 1 ? begin[0] : undefined);
}

export interface Choice {
  /** What it puts into the URL; or, with complete, what it puts into the bar. */
  set?: ListState;
  complete?: string;
  key?: Key;
  label: string;
  detail?: string;
  /** What sort of thing it is. */
  kind?: string;
}

const limit = 7;

/** What may be meant by what stands in the bar so far; found is what the
 * server knows under that name, titled what a type is called on the page. The
 * first one is what Enter does. */
export function choices(text: string, found: Choice[] = [], titled = (e: EventType) => e.title): Choice[] {
  const t = text.trim();
  const m = /^([A-Za-z]+):"?([^"]*)"?$/.exec(t);
  const key = m && (m[1]!.toLowerCase() as Key);
  if (key && filterKeys.includes(key)) {
    const rest = m[2]!.trim();
    if (key === "type") return matching(rest, titled).slice(0, 12);
    if (key === "category") return categories.filter((c) => c.startsWith(rest.toLowerCase())).map((c) => ({ key, set: { category: c }, label: c }));
    if (key === "ip") return rest ? [{ key, set: { source_ip: rest }, label: rest }] : [];
    return found.filter((c) => c.key === key);
  }
  if (!t) return filterKeys.map((k) => ({ key: k, complete: `${k}:`, label: "" }));
  const whole = parse(t);
  if (whole.problems.length > 0 || Object.keys(whole.set).some((k) => k !== "q") || whole.names.actor || whole.names.target) return [];
  return [
    { set: { q: whole.set.q ?? t }, label: whole.set.q ?? t },
    ...matching(t, titled).slice(0, limit),
    ...(isAddress(t) ? [{ key: "ip" as const, set: { source_ip: t }, label: t }] : []),
    ...found,
  ];
}

function matching(text: string, titled: (e: EventType) => string): Choice[] {
  const words = text.toLowerCase().split(/[\s_-]+/).filter(Boolean);
  return types
    .filter((t) => words.every((w) => `${t.title} ${titled(t)}`.toLowerCase().includes(w)))
    .map((t) => ({ key: "type", set: { type: t.type }, label: titled(t), detail: t.type }));
}

function isAddress(text: string): boolean {
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(text) || (/^[0-9a-f:]+$/i.test(text) && text.includes("::"));
}

/** What of the URL goes to the API; a span is from now on. */
export function request(state: ListState, now = Date.now()): Record<string, string | boolean> {
  const { span, instance, ...rest } = state;
  const back = spans[span as Span];
  return { ...rest, ...(back && { from: new Date(now - back).toISOString() }), ...(instance === "true" && { instance: true }) };
}
