// An audit event in the form that is hashed (docs/formats/audit.md).
import type { Schemas } from "../api/client";
import { utf8, type Bytes } from "./bytes";

/** JSON in canonical form (RFC 8785): keys by UTF-16 code units, no blanks. */
export function canonical(v: unknown): string {
  if (Array.isArray(v)) return `[${v.map(canonical).join(",")}]`;
  if (v && typeof v === "object") {
    const o = v as Record<string, unknown>;
    const keys = Object.keys(o).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    return `{${keys.map((k) => `${JSON.stringify(k)}:${canonical(o[k])}`).join(",")}}`;
  }
  return JSON.stringify(v);
}

/** Times have six digits after the point. */
function micros(time: string): string {
  const m = /^(.*?)(?:\.(\d+))?Z$/.exec(time);
  if (!m) throw new Error("the time of the event is malformed");
  return `${m[1]}.${(m[2] ?? "").padEnd(6, "0")}Z`;
}

/** The bytes whose hash is the event's leaf. */
export function leafData(e: Schemas["AuditEvent"]): Bytes {
  const party = (p?: Partial<Schemas["AuditParty"]>) => ({ id: p?.id ?? "", name: p?.name ?? "", type: p?.type ?? "" });
  return utf8(
    canonical({
      id: e.id,
      time: micros(e.time),
      type: e.type,
      title: e.title,
      category: e.category,
      actor: party(e.actor),
      target: party(e.target),
      org_id: e.org_id ?? "",
      source_ip: e.source_ip ?? "",
      request_id: e.request_id ?? "",
      metadata: e.metadata ?? {},
    }),
  );
}
