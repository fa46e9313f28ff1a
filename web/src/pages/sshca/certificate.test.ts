import { expect, it } from "vitest";
import type { Schemas } from "../../api/client";
import { certificateOf } from "./certificate";

const event = (metadata: Record<string, unknown>) => ({ metadata }) as Schemas["AuditEvent"];

it("reads what an event says of a certificate", () => {
  expect(certificateOf(event({ serial: "4294967297", principals: ["ops", "<b>"], valid_before: "2026-01-01T00:00:00Z", key_id: "ses_1 usr_1" }))).toEqual({ serial: "4294967297", principals: ["ops", "<b>"], until: "2026-01-01T00:00:00Z", session: "ses_1" });
});

it("takes a check of a login for no session, and does not stumble over what it does not know", () => {
  expect(certificateOf(event({ key_id: "check usr_1" })).session).toBeUndefined();
  expect(certificateOf(event({ principals: "ops", serial: 7, key_id: 1 }))).toEqual({ serial: "", principals: [], until: undefined, session: undefined });
});
