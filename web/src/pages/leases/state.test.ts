import { describe, expect, it } from "vitest";
import { late, pace, remedy, revocable, states, type Lease, type State } from "./state";

const lease = (state: State) => ({ state, attempts: 0 }) as Lease;

describe("a user that is to be gone again", () => {
  it("can be dropped unless it is being made or gone", () => expect(states.filter((s) => revocable(lease(s)))).toEqual(["active", "revoking", "stuck"]));
  it("is late when the server was told and has not managed", () => expect(states.filter((s) => late(lease(s)))).toEqual(["revoking", "stuck"]));

  it("is asked about more often while the server works on one", () => {
    expect(pace([lease("revoked"), lease("revoking")])).toBeLessThan(pace([lease("active"), lease("stuck")]));
    expect(pace(undefined)).toBe(pace([]));
  });

  it("says something of every problem, also of one that is new", () => {
    expect(remedy("unreachable")).toBe("unreachable");
    expect(remedy("target authentication failed")).toBe("login");
    expect(remedy("constructor")).toBe("other");
    expect(remedy("what nobody has heard of")).toBe("other");
  });
});
