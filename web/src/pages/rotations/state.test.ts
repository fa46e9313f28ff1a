import { describe, expect, it } from "vitest";
import { cancellable, moves, pace, retriable, states, type Rotation, type State } from "./state";

const rotation = (state: State, more: Partial<Rotation> = {}) =>
  ({ state, attempts: 0, needs_attention: state === "stuck", ended_at: ["done", "failed", "cancelled"].includes(state) ? "2026-01-01T00:00:00Z" : null, ...more }) as Rotation;

describe("a rotation", () => {
  it("is asked about again while the server goes on by itself", () => {
    expect(states.filter((s) => moves(rotation(s)))).toEqual(["queued", "stored", "applying", "applied", "verified", "spreading"]);
    expect(pace([rotation("done"), rotation("applying")], 7)).toBe(7);
    expect(pace([rotation("done"), rotation("stuck")])).toBe(false);
    expect(pace(undefined)).toBe(false);
  });

  it("can be cancelled only before the target may have heard of it", () => expect(states.filter((s) => cancellable(rotation(s)))).toEqual(["queued", "stored"]));

  it("can be tried again when it waits, and not when it is over", () => {
    expect(states.filter((s) => retriable(rotation(s)))).toEqual(["stuck"]);
    expect(states.filter((s) => retriable(rotation(s, { attempts: 2 })))).toEqual(["queued", "stored", "applying", "applied", "verified", "spreading", "stuck"]);
  });
});
