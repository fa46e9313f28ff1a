import { describe, expect, it } from "vitest";
import { causes, endable, extendable, mostExtensions, type Checkout } from "./state";

const checkout = (more: Partial<Checkout>) => ({ status: "checked_out", user_id: "usr_a", extensions: 0, ...more }) as Checkout;

describe("a checkout", () => {
  it("is extended by its holder alone, until it was often enough", () => {
    expect(extendable(checkout({}), "usr_a")).toBe(true);
    expect(extendable(checkout({}), "usr_b")).toBe(false);
    expect(extendable(checkout({ extensions: mostExtensions - 1 }), "usr_a")).toBe(true);
    expect(extendable(checkout({ extensions: mostExtensions }), "usr_a")).toBe(false);
    expect(extendable(checkout({ status: "available" }), "usr_a")).toBe(false);
  });

  it("is ended by its holder, and by others unless they only look on", () => {
    expect(endable(checkout({}), "usr_a", "operator")).toBe(true);
    expect(endable(checkout({}), "usr_a", "auditor")).toBe(true);
    expect(endable(checkout({}), "usr_b", "admin")).toBe(true);
    expect(endable(checkout({}), "usr_b", "auditor")).toBe(false);
    expect(endable(checkout({ status: "available" }), "usr_a", "owner")).toBe(false);
  });

  it("names each cause once", () => expect(new Set(causes).size).toBe(causes.length));
});
