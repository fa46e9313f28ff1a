import { describe, expect, it } from "vitest";
import type { Schemas } from "../../api/client";
import { fateOf, kitsOf, unmade } from "./record";

const event = (id: string, metadata: Record<string, unknown>) => ({ id, time: "2026-12-01T03:00:00Z", type: "", actor: { id: "usr_1", name: "", type: "user" }, target: { id: "saf_1", name: "Core", type: "safe" }, metadata }) as unknown as Schemas["AuditEvent"];

describe("what the log says of kits", () => {
  it("is one record for each kit, also where a kit has several events", () => {
    const all = kitsOf([
      event("evt_4", { kit_id: "kit_2", part: 1, accounts: 1, shares: 3, threshold: 2, reason: "yearly", versions: ["acc_9@1"] }),
      event("evt_3", { kit_id: "kit_1", part: 2, accounts: 3, versions: ["acc_3@7"] }),
      event("evt_2", { kit_id: "kit_1", part: 1, accounts: 3, shares: 5, threshold: 3, versions: ["acc_1@2", "acc_2@10"] }),
    ]);
    expect(all.map((k) => [k.id, k.event, k.accounts])).toEqual([
      ["kit_2", "evt_4", 1],
      ["kit_1", "evt_2", 3],
    ]);
    expect([...all[1]!.held]).toEqual([
      ["acc_3", 7],
      ["acc_1", 2],
      ["acc_2", 10],
    ]);
    expect(all[1]).toMatchObject({ shares: 5, threshold: 3, maker: "usr_1", safe: { id: "saf_1", name: "Core" } });
  });

  it("does not stumble over what it does not know", () => {
    expect(kitsOf([event("evt_1", { kit_id: "kit_1", versions: [7, "acc_1", "@1", "acc_1@x", "acc_2@3"], shares: "5" })])[0]).toMatchObject({ shares: 0, held: new Map([["acc_2", 3]]) });
    expect(kitsOf([event("evt_1", { versions: "acc_1@1" })])[0]!.held.size).toBe(0);
  });

  it("names those that were not made", () => {
    expect([...unmade([event("evt_1", { kit_id: "kit_1", outcome: "no kit was made" }), event("evt_2", { kind: "denied" })])]).toEqual(["kit_1"]);
  });

  it("says of a secret that is not known neither that it is the same nor that it is gone", () => {
    expect(fateOf(3, 3, true)).toBe("same");
    expect(fateOf(3, 4, true)).toBe("changed");
    expect(fateOf(3, 2, false)).toBe("changed"); // an old version was put to use again
    expect(fateOf(3, undefined, true)).toBe("gone");
    expect(fateOf(3, undefined, false)).toBe("unknown");
  });
});
