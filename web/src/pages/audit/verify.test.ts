// @vitest-environment node
import { readFileSync } from "node:fs";
import { beforeEach, describe, expect, it } from "vitest";
import type { Schemas } from "../../api/client";
import { toBase64, utf8, type Bytes } from "../../evidence/bytes";
import { leafData } from "../../evidence/event";
import { leafHash, root } from "../../evidence/merkle";
import { grew } from "./consistency";
import { checkExport, keptCheckpoints, linesOf, LogTree, type Due } from "./logcheck";
import { compare, originOf, Refuted, signedCheckpoint, verifyEvent, type Memory, type Seen, type Server, type Step } from "./verify";

const text = readFileSync("../pam/audit/testdata/export-v1.ndjson", "utf8");
const lines = text.trim().split("\n");
const end = JSON.parse(lines.at(-1)!) as { checkpoint: string; key: string; checkpoints?: string[] };
const events = lines.slice(0, -1).map((l) => JSON.parse(l) as Schemas["AuditEvent"]);
const leaves: Bytes[] = await Promise.all(events.map((e) => leafHash(leafData(e))));
const origin = originOf(events[0]!.org_id);

/** RFC 6962 section 2.1.1, from its definition. */
async function inclusion(d: Bytes[], i: number): Promise<Bytes[]> {
  if (d.length <= 1) return [];
  const k = split(d.length);
  return i < k ? [...(await inclusion(d.slice(0, k), i)), await root(d.slice(k))] : [...(await inclusion(d.slice(k), i - k)), await root(d.slice(0, k))];
}

/** RFC 6962 section 2.1.2, from its definition. */
async function consistency(m: number, d: Bytes[], whole = true): Promise<Bytes[]> {
  if (m === d.length) return whole ? [] : [await root(d)];
  const k = split(d.length);
  return m <= k ? [...(await consistency(m, d.slice(0, k), whole)), await root(d.slice(k))] : [...(await consistency(m - k, d.slice(k), false)), await root(d.slice(0, k))];
}

function split(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

class Kept implements Memory {
  all = new Map<string, Seen>();
  read = (o: string) => this.all.get(o);
  write = (o: string, s: Seen) => void this.all.set(o, s);
}

let memory: Kept;
let honest: Server;
beforeEach(() => {
  memory = new Kept();
  honest = {
    checkpoint: async () => ({ note: end.checkpoint, key: end.key }),
    inclusion: async (i, n) => (await inclusion(leaves.slice(0, n), i)).map(toBase64),
    consistency: async (m, n) => (await consistency(m, leaves.slice(0, n))).map(toBase64),
  };
});

async function check(e: Schemas["AuditEvent"], server = honest): Promise<{ steps: Step[]; why?: Refuted }> {
  const steps: Step[] = [];
  try {
    await verifyEvent(e, server, memory, (s) => steps.push(s));
  } catch (why) {
    if (!(why instanceof Refuted)) throw why;
    return { steps, why };
  }
  return { steps };
}

describe("an event", () => {
  it("is verified in four steps, wherever it stands", async () => {
    for (const e of events.filter((_, i) => i % 61 === 0 || i === events.length - 1)) {
      const { steps, why } = await check(e);
      expect(why).toBeUndefined();
      expect(steps.map((s) => s.id)).toEqual(["hash", "signature", "inclusion", "memory"]);
    }
  });

  it("is new to the browser once, and compared from then on", async () => {
    expect((await check(events[0]!)).steps.at(-1)).toMatchObject({ id: "memory", state: "new" });
    expect((await check(events[0]!)).steps.at(-1)).toMatchObject({ id: "memory", state: "good", values: { before: events.length } });
  });

  it.each([{ source_ip: "192.0.2.66" }, { title: "Nothing Happened" }, { metadata: {} }, { time: "2026-01-01T00:00:00Z" }])("that was changed is found out before anything is asked: %j", async (change) => {
    const { steps, why } = await check({ ...events[1]!, ...change }, { ...honest, checkpoint: () => Promise.reject(new Error("asked")) });
    expect([steps, why?.step, why?.reason]).toEqual([[], "hash", "edited"]);
  });

  it("whose hash was changed with it does not lead to the root", async () => {
    const e = { ...events[1]!, title: "Nothing Happened" };
    const forged = Buffer.from(await leafHash(leafData(e))).toString("hex");
    expect((await check({ ...e, leaf_hash: forged })).why).toMatchObject({ step: "inclusion", reason: "notIncluded" });
    expect(memory.all.size).toBe(0);
  });

  it("cannot stand in another place", async () => {
    expect((await check({ ...events[1]!, leaf_index: 0 })).why).toMatchObject({ step: "inclusion" });
    expect((await check({ ...events[1]!, leaf_index: 1000 })).why).toMatchObject({ step: "inclusion" });
  });

  it.each([
    ["nothing", () => []],
    ["noise", () => ["AAAA"]],
    ["what is no base64", () => ["%%%"]],
  ])("is not believed for a path of %s", async (_, path) => {
    expect((await check(events[1]!, { ...honest, inclusion: async () => path() })).why).toMatchObject({ step: "inclusion" });
  });

  it("is not believed under a changed or foreign checkpoint", async () => {
    const note = end.checkpoint.replace(/\n\d+\n/, "\n1\n");
    expect((await check(events[0]!, { ...honest, checkpoint: async () => ({ note, key: end.key }) })).why).toMatchObject({ step: "signature" });
    await expect(signedCheckpoint("vaultpam/org_other", honest)).rejects.toMatchObject({ step: "signature" });
  });

  it("does not pass off a broken connection as a forgery", async () => {
    await expect(check(events[0]!, { ...honest, inclusion: () => Promise.reject(new Error("gone")) })).rejects.toThrow("gone");
  });
});

describe("the log of before", () => {
  const seenAt = async (size: number): Promise<Seen> => ({ key: end.key, size, root: toBase64(await root(leaves.slice(0, size))) });
  const now = () => signedCheckpoint(origin, honest);

  it("may grow", async () => {
    for (const size of [1, 2, 3, 255, 256, 257, 511, leaves.length].filter((n) => n <= leaves.length)) {
      expect((await compare(await now(), await seenAt(size), honest, memory)).state).toBe("good");
      expect(memory.read(origin)!.size).toBe(leaves.length);
    }
  });

  it("may not shrink, change its key, or have been another", async () => {
    const refuted = (seen: Seen, reason: string) => expect(now().then((n) => compare(n, seen, honest, memory))).rejects.toMatchObject({ step: "memory", reason });
    await refuted({ ...(await seenAt(2)), size: leaves.length + 1 }, "shorter");
    await refuted({ ...(await seenAt(2)), key: "another" }, "otherKey");
    await refuted({ ...(await seenAt(2)), root: toBase64(leaves[0]!) }, "forked");
    await refuted({ ...(await seenAt(leaves.length)), root: toBase64(leaves[0]!) }, "forked");
    expect(memory.all.size).toBe(0);
  });
});

it("consistency is proven for every pair of sizes, and for nothing else", async () => {
  const d = await Promise.all(Array.from({ length: 20 }, (_, i) => leafHash(utf8(String(i)))));
  for (let n = 1; n <= d.length; n++) {
    const to = await root(d.slice(0, n));
    for (let m = 1; m <= n; m++) {
      const path = await consistency(m, d.slice(0, n));
      const old = await root(d.slice(0, m));
      expect(await grew(m, old, n, to, path), `${m} to ${n}`).toBe(true);
      if (m === n) continue;
      expect(await grew(m, d[0]!, n, to, path) && m > 1).toBe(false);
      expect(await grew(m, old, n, d[0]!, path)).toBe(false);
      expect(await grew(m, old, n, to, path.slice(1))).toBe(false);
      expect(await grew(m, old, n, to, [...path, old])).toBe(false);
    }
  }
});

describe("a whole log", () => {
  /** The text as it arrives, in pieces that break lines anywhere. */
  function stream(text: string, piece = 97): ReadableStream<Uint8Array> {
    const b = utf8(text);
    let at = 0;
    return new ReadableStream({
      pull(c) {
        if (at >= b.length) c.close();
        else c.enqueue(b.slice(at, (at += piece)));
      },
    });
  }
  const run = async (text: string, due: Due[] = []) => checkExport(linesOf(stream(text)), await signedCheckpoint(origin, honest), due, () => {});
  const refuted = async (text: string, reason: string, values: object = {}, due: Due[] = []) => expect(run(text, due)).rejects.toMatchObject({ reason, values });
  const without = (i: number) => [...lines.slice(0, i), ...lines.slice(i + 1)].join("\n");

  it("holds, and passes through every earlier checkpoint", async () => {
    const due = await Promise.all([1, 2, 255, 256, 257, leaves.length].filter((n) => n <= leaves.length).map(async (size) => ({ size, root: await root(leaves.slice(0, size)) })));
    expect(await run(text, due)).toMatchObject({ size: events.length });
  });

  it("names what was edited, removed, repeated or moved", async () => {
    await refuted(text.replace(/"source_ip":"[^"]*"/, '"source_ip":"192.0.2.66"'), "editedAt", { number: 1 });
    await refuted(without(1), "missing", { from: 2, to: 2 });
    await refuted([lines[0], ...lines].join("\n"), "again", { number: 2 });
    await refuted([lines[1], lines[0], ...lines.slice(2)].join("\n"), "missing", { from: 1, to: 1 });
    await refuted(without(events.length - 1), "missing");
    await refuted(`${text}${lines[0]}\n`, "after");
    await refuted(["nonsense", ...lines].join("\n"), "unreadable", { number: 1 });
    await refuted(lines.slice(0, -1).join("\n"), "cut");
    await refuted(text.replaceAll(events[0]!.org_id, "org_00000000000000000000000000"), "editedAt");
  });

  it("that was hashed anew is not the one that was signed", async () => {
    const e = { ...events[1]!, source_ip: "192.0.2.66" };
    const forged = lines[1]!.replace(/"source_ip":"[^"]*"/, '"source_ip":"192.0.2.66"').replace(e.leaf_hash, Buffer.from(await leafHash(leafData(e))).toString("hex"));
    await refuted([lines[0], forged, ...lines.slice(2)].join("\n"), "rewritten");
  });

  it("that never was at a kept checkpoint is found out", async () => {
    await refuted(text, "rewritten", { number: 2 }, [{ size: 2, root: leaves[0]! }]);
    await refuted(text, "shorter", {}, [{ size: events.length + 5, root: leaves[0]! }]);
  });

  it("takes kept checkpoints from any file of them", async () => {
    const signed = await signedCheckpoint(origin, honest);
    expect(await keptCheckpoints(`vaultpam/other\n3\nAAAA\n\n— vaultpam/other AAAA\n\n${end.checkpoint}\r\n${end.checkpoint}`, signed)).toHaveLength(2);
    expect(await keptCheckpoints("  ", signed)).toEqual([]);
    await expect(keptCheckpoints("hello", signed)).rejects.toMatchObject({ reason: "keptNone" });
    await expect(keptCheckpoints(end.checkpoint.replace(/\n\d+\n/, "\n1\n"), signed)).rejects.toMatchObject({ reason: "keptSignature" });
  });

  it("has the root of RFC 6962 at every size", async () => {
    const d = await Promise.all(Array.from({ length: 1100 }, (_, i) => leafHash(utf8(String(i)))));
    const tree = new LogTree();
    for (const [i, leaf] of d.entries()) {
      if (i % 97 === 0 || i % 256 < 2) expect(await tree.root()).toEqual(await root(d.slice(0, i)));
      await tree.add(leaf);
    }
    expect(await tree.root()).toEqual(await root(d));
  });
});
