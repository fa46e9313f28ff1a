// What an event of the audit log says of a certificate. Whatever is in it is
// taken for what it is, since logs outlive programs.
import type { Schemas } from "../../api/client";

export interface Certificate {
  serial: string;
  principals: string[];
  until?: string;
  session?: string;
}

export function certificateOf(e: Schemas["AuditEvent"]): Certificate {
  const m = e.metadata as Record<string, unknown>;
  const [session] = typeof m.key_id === "string" ? m.key_id.split(" ") : [];
  return {
    serial: typeof m.serial === "string" ? m.serial : "",
    principals: Array.isArray(m.principals) ? m.principals.filter((p) => typeof p === "string") : [],
    until: typeof m.valid_before === "string" ? m.valid_before : undefined,
    session: session?.startsWith("ses_") ? session : undefined, // a check of a login has none
  };
}
