import { describe, expect, it } from "vitest";
import { withClass } from "./generation";
import { usedAt } from "./settings";

describe("classes of characters", () => {
  it("are all of them where nothing is said, and again once all are chosen", () => {
    const without = withClass({ kind: "password", length: 20 }, "symbol", false);
    expect(without).toEqual({ kind: "password", length: 20, classes: { lower: 1, upper: 1, digit: 1 } });
    expect(withClass(without, "symbol", true).classes).toBeUndefined();
  });

  it("keep how many of each somebody has asked for", () => expect(withClass({ classes: { lower: 3, digit: 2 } }, "upper", true).classes).toEqual({ lower: 3, upper: 1, digit: 2 }));
});

describe("where an account is used", () => {
  it("is its own resource, and where Safes bind it", () => {
    const safes = [{ bindings: [{ resource_id: "res_2", account_id: "acc_1" }, { resource_id: "res_3", account_id: "acc_2" }] }];
    expect([...usedAt({ id: "acc_1", resource_id: "res_1" }, safes)]).toEqual(["res_1", "res_2"]);
    expect([...usedAt({ id: "acc_1", resource_id: null }, safes)]).toEqual(["res_2"]);
  });
});
