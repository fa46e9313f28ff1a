// @vitest-environment node
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { concat, equal, fromBase64, fromHex, toHex, utf8, type Bytes } from "./bytes";
import { leafData } from "./event";
import { included, leafHash, nodeHash, root } from "./merkle";
import { openCheckpoint } from "./note";
import { checkSeal, importKey, openChunk, readHeader, Tampered, type Chunk } from "./recording";

const vectors = "../pam";

/** Cuts the file into header, chunks and seal, as a server hands them out. */
function cut() {
  const file = new Uint8Array(readFileSync(`${vectors}/recording/testdata/v1.vpamrec`)) as Bytes;
  const v = new DataView(file.buffer, file.byteOffset);
  let at = 14 + v.getUint32(10);
  const header = file.slice(0, at);
  const chunks: Bytes[] = [];
  while (new TextDecoder().decode(file.slice(at, at + 4)) === "VPCH") {
    const end = at + 80 + v.getUint32(at + 20);
    chunks.push(file.slice(at, end));
    at = end;
  }
  return { header, chunks, seal: file.slice(at) };
}
const known = JSON.parse(readFileSync(`${vectors}/recording/testdata/v1.json`, "utf8")) as { key: string; public_key: string; root: string; statement: string; frames: string[] };

async function open() {
  const { header, chunks, seal } = cut();
  const h = await readHeader(header);
  const key = await importKey(fromHex(known.key));
  const opened: Chunk[] = [];
  for (const [n, b] of chunks.entries()) opened.push(await openChunk(h, key, n, b));
  const sealed = { publicKey: seal.slice(8, 40), signature: seal.slice(40, 104), statement: new TextDecoder().decode(seal.slice(104)) };
  return { h, key, chunks, opened, sealed };
}

describe("a recording", () => {
  it("shows the frames of the vector", async () => {
    const { opened } = await open();
    expect(opened.flatMap((c) => c.frames.map((f) => `${f.at} ${f.kind} ${toHex(f.data)}`))).toEqual(known.frames);
    expect(opened.at(-1)!.final).toBe(true);
  });

  it("is a chain from its header to its seal", async () => {
    const { h, opened, sealed } = await open();
    let prev = h.hash;
    for (const c of opened) {
      expect(equal(c.prev, prev)).toBe(true);
      prev = c.hash;
    }
    expect(toHex(sealed.publicKey)).toBe(known.public_key);
    expect((await checkSeal(h, sealed, opened.map((c) => c.hash))).root).toBe(known.root);
  });

  it("is found out when any byte of a chunk is changed", async () => {
    const { h, key, chunks } = await open();
    for (let i = 0; i < chunks[1]!.length; i++) {
      const b = chunks[1]!.slice();
      b[i]! ^= 1;
      await expect(openChunk(h, key, 1, b), `byte ${i}`).rejects.toThrow(Tampered);
    }
  });

  it("is found out when chunks are dropped, swapped or of another recording", async () => {
    const { h, key, chunks, opened, sealed } = await open();
    await expect(openChunk(h, key, 0, chunks[1]!)).rejects.toThrow("another number");
    await expect(openChunk({ ...h, recording: "rec_01ARZ3NDEKTSV4RRFFQ69G5FAW" }, key, 0, chunks[0]!)).rejects.toThrow("changed");
    const hashes = opened.map((c) => c.hash);
    await expect(checkSeal(h, sealed, hashes.slice(0, -1))).rejects.toThrow("number of chunks");
    await expect(checkSeal(h, sealed, [hashes[1]!, hashes[0]!, ...hashes.slice(2)])).rejects.toThrow("not those");
    await expect(checkSeal(h, { ...sealed, statement: sealed.statement.replace("closed", "recovered") }, hashes)).rejects.toThrow("signature");
    await expect(openChunk(h, key, 0, chunks[0]!, hashes[1])).rejects.toThrow("signed");
  });
});

describe("the audit log", () => {
  const lines = readFileSync(`${vectors}/audit/testdata/export-v1.ndjson`, "utf8").trim().split("\n");
  const end = JSON.parse(lines.pop()!) as { checkpoint: string; key: string; first: number; end: number };
  const events = lines.map((l) => JSON.parse(l));

  it("hashes each event as the server does", async () => {
    for (const e of events) expect(toHex(await leafHash(leafData(e)))).toBe(e.leaf_hash);
  });

  it("proves an event against the signed checkpoint, and no other", async () => {
    const checkpoint = await openCheckpoint(end.checkpoint, end.key);
    const leaves = await Promise.all(events.map((e) => leafHash(leafData(e))));
    expect(checkpoint.size).toBe(events.length);
    expect(toHex(await root(leaves))).toBe(toHex(checkpoint.root));
    for (const i of [0, 1, Math.floor(leaves.length / 2), leaves.length - 1]) {
      const path = await proof(leaves, i);
      expect(await included(leaves[i]!, i, leaves.length, path, checkpoint.root)).toBe(true);
      expect(await included(leaves[(i + 1) % leaves.length]!, i, leaves.length, path, checkpoint.root)).toBe(false);
      expect(await included(leaves[i]!, i + 1, leaves.length, path, checkpoint.root)).toBe(false);
      expect(await included(leaves[i]!, i, leaves.length, path.slice(1), checkpoint.root)).toBe(false);
    }
  });

  it("does not believe a changed checkpoint", async () => {
    await expect(openCheckpoint(end.checkpoint.replace(/\n\d+\n/, "\n1\n"), end.key)).rejects.toThrow("signature");
    await expect(openCheckpoint(end.checkpoint, end.key.replace(/\+[0-9a-f]{8}\+/, "+00000000+"))).rejects.toThrow("malformed");
  });

  it("finds any change of an event", async () => {
    const e = events[0];
    for (const change of [{ source_ip: "192.0.2.66" }, { type: "OTHER" }, { time: "2026-01-01T00:00:00Z" }, { metadata: { ...e.metadata, more: 1 } }, { actor: { ...e.actor, name: "somebody else" } }, { org_id: "org_x" }]) {
      expect(toHex(await leafHash(leafData({ ...e, ...change })))).not.toBe(e.leaf_hash);
    }
  });
});

/** RFC 6962 section 2.1.1, straight from its definition. */
async function proof(leaves: Bytes[], i: number): Promise<Bytes[]> {
  if (leaves.length <= 1) return [];
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return i < k ? [...(await proof(leaves.slice(0, k), i)), await root(leaves.slice(k))] : [...(await proof(leaves.slice(k), i - k)), await root(leaves.slice(0, k))];
}

it("nodes are not leaves", async () => {
  const a = utf8("a") as Bytes;
  expect(toHex(await nodeHash(a, a))).not.toBe(toHex(await leafHash(concat(a, a))));
  expect(toHex(fromBase64("AQI="))).toBe("0102");
});
