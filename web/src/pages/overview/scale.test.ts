import { describe, expect, it } from "vitest";
import { labelled, largest, top, total, until, type Count } from "./scale";

describe("the top of the scale", () => {
  it.each([
    [0, 2],
    [1, 2],
    [2, 2],
    [3, 4],
    [7, 8],
    [9, 10],
    [10, 10],
    [11, 20],
    [41, 60],
    [100, 100],
    [101, 200],
    [12_345, 20_000],
  ])("of %i is %i", (n, want) => expect(top(n)).toBe(want));

  it("has a half that is a whole number, and is never far above", () => {
    for (let n = 0; n < 5000; n++) {
      expect(top(n)).toBeGreaterThanOrEqual(n);
      expect(top(n) % 2).toBe(0);
      expect(top(n)).toBeLessThanOrEqual(Math.max(2, 2 * n));
    }
  });
});

const rows = (n: number, step: number): Count[] => Array.from({ length: n }, (_, i) => ({ from: new Date(Date.UTC(2026, 4, 1) + i * step).toISOString(), count: i }));

describe("rows", () => {
  it("add up", () => {
    expect(total(rows(4, 3_600_000))).toBe(6);
    expect(largest(rows(4, 3_600_000))).toBe(3);
    expect(total([])).toBe(0);
    expect(largest([])).toBe(0);
  });

  it("end where the next begins", () => {
    const r = rows(2, 3_600_000);
    expect(until(r[0]!, "hour")).toBe(r[1]!.from);
    expect(until(rows(2, 86_400_000)[0]!, "day")).toBe("2026-05-02T00:00:00.000Z");
  });

  it("have few labels, far enough apart", () => {
    const hours = labelled(rows(24, 3_600_000), "hour");
    expect(hours).toEqual([0, 6, 12, 18].map((i) => i + hours[0]!));
    expect(labelled(rows(30, 86_400_000), "day")).toEqual([1, 8, 15, 22, 29]);
  });
});
