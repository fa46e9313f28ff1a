import { describe, expect, it } from "vitest";
import { Broken, collect } from "./download";

const event = '{"id":"evt_1"}\n';
const stream = (...parts: string[]) =>
  new ReadableStream<Uint8Array>({
    start(c) {
      for (const p of parts) c.enqueue(new TextEncoder().encode(p));
      c.close();
    },
  });

describe("an export", () => {
  it("is the bytes that arrived, and tells how many", async () => {
    const seen: number[][] = [];
    const file = await collect(stream(event, event, '{"checkpoint":"x"}\n'), "ndjson", (p) => seen.push([p.bytes, p.lines]));
    expect(file.size).toBe(2 * event.length + 19);
    expect(seen).toEqual([
      [15, 1],
      [30, 2],
      [49, 3],
    ]);
  });

  it("of nothing is still its checkpoint", async () => expect((await collect(stream('{"checkpoint":"x"}\n'), "ndjson", () => {})).size).toBe(19));

  it("in CSV ends with a marked row", async () => {
    expect((await collect(stream('id\nevt_1\n"#checkpoint {""a"":1}"\n'), "csv", () => {})).type).toBe("text/csv");
    await expect(collect(stream("id\nevt_1\n"), "csv", () => {})).rejects.toThrow(Broken);
  });

  it.each([["ends early", event], ["ends in the middle of a line", `${event}{"checkp`], ["is empty", ""], ["names a checkpoint elsewhere", `{"checkpoint":"x"}\n${event}`]])("that %s is not saved", async (_, text) => {
    await expect(collect(stream(text), "ndjson", () => {})).rejects.toThrow(Broken);
  });

  it("that breaks off is not saved", async () => {
    const broken = new ReadableStream<Uint8Array>({ pull: (c) => c.error(new TypeError("network")) });
    await expect(collect(broken, "ndjson", () => {})).rejects.toThrow(Broken);
  });
});
