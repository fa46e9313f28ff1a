// Checks a whole log from its export, line by line as it arrives: nothing of
// it is kept but the hashes of complete subtrees.
import { concat, equal, sha256, toBase64, utf8, type Bytes } from "../../evidence/bytes";
import { leafHash, nodeHash, root } from "../../evidence/merkle";
import { openCheckpoint } from "../../evidence/note";
import { Refuted, type Signed } from "./verify";

const tile = 256;

/** The tree over the leaves so far, as few hashes as will do. */
export class LogTree {
  size = 0;
  private full: { level: number; hash: Bytes }[] = []; // of whole tiles, left to right
  private last: Bytes[] = []; // leaves of the tile that is not complete

  async add(leaf: Bytes): Promise<void> {
    this.last.push(leaf);
    this.size++;
    if (this.last.length < tile) return;
    let n = { level: 0, hash: await root(this.last) };
    this.last = [];
    for (let top = this.full.at(-1); top?.level === n.level; top = this.full.at(-1)) {
      this.full.pop();
      n = { level: n.level + 1, hash: await nodeHash(top.hash, n.hash) };
    }
    this.full.push(n);
  }

  /** The root of the tree as it stands (RFC 6962 section 2.1). */
  async root(): Promise<Bytes> {
    const parts = this.full.map((n) => n.hash);
    if (this.last.length > 0) parts.push(await root(this.last));
    let h = parts.pop();
    if (!h) return sha256();
    for (let p = parts.pop(); p; p = parts.pop()) h = await nodeHash(p, h);
    return h;
  }
}

/** A checkpoint that the log has to pass through. */
export interface Due {
  size: number;
  root: Bytes;
}

export interface Progress {
  bytes: number;
  events: number;
}

/** The log as it was signed at the end of the export. */
export interface Found {
  size: number;
  root: string; // base64
}

const tail = /,"leaf_index":(\d+),"leaf_hash":"([0-9a-f]{64})"\}$/;
const lookBack = 120; // bytes: as long as tail can be
const maxLine = 8 << 20;
const portion = 128; // lines

/** Reads the NDJSON export of a whole log and throws Refuted at the first
 * place that does not hold. signed is a checkpoint that was fetched, and
 * checked, before; the log must contain it and everything in due. */
export async function checkExport(lines: AsyncIterable<Uint8Array[]>, signed: Signed, due: Due[], progress: (p: Progress) => void): Promise<Found> {
  const tree = new LogTree();
  const wanted = [...due, { size: signed.checkpoint.size, root: signed.checkpoint.root }].sort((a, b) => a.size - b.size);
  const org = signed.checkpoint.origin.replace(/^vaultpam\//, "").replace(/^instance$/, "");
  const mark = `"org_id":${JSON.stringify(org)},`;
  let bytes = 0;
  let end: { checkpoint: string; key: string; first: number; end: number } | undefined;

  async function pass(): Promise<void> {
    while (wanted[0] && wanted[0].size <= tree.size) {
      const w = wanted.shift()!;
      if (w.size === tree.size && !equal(w.root, await tree.root())) throw new Refuted("root", "rewritten", { number: w.size });
    }
  }
  await pass();

  for await (const batch of lines) {
    const hashed = await Promise.all(batch.map((b) => read(b, mark)));
    for (const line of hashed) {
      bytes += line.length;
      if (end) throw new Refuted("events", "after");
      if ("end" in line) {
        end = line.end;
        continue;
      }
      const number = tree.size + 1;
      if (!line.leaf) throw new Refuted("events", "unreadable", { number });
      if (line.index < tree.size) throw new Refuted("events", "again", { number, id: line.id });
      if (line.index > tree.size) throw new Refuted("events", "missing", { from: number, to: line.index });
      if (!line.same) throw new Refuted("events", "editedAt", { number, id: line.id });
      if (!line.ours) throw new Refuted("events", "foreign", { number, id: line.id });
      await tree.add(line.leaf);
      await pass();
    }
    progress({ bytes, events: tree.size });
  }
  if (!end) throw new Refuted("events", "cut", { number: tree.size });
  if (end.key !== signed.key) throw new Refuted("root", "otherKey");
  const last = await openCheckpoint(end.checkpoint, end.key).catch(() => {
    throw new Refuted("root", "signature");
  });
  if (last.origin !== signed.checkpoint.origin || end.first !== 0) throw new Refuted("root", "signature");
  if (last.size !== tree.size || end.end !== tree.size) throw new Refuted("events", "missing", { from: tree.size + 1, to: Math.max(last.size, end.end) });
  if (wanted[0]) throw new Refuted("kept", "shorter", { before: wanted[0].size, size: tree.size });
  const got = await tree.root();
  if (!equal(got, last.root)) throw new Refuted("root", "rewritten", { number: tree.size });
  return { size: tree.size, root: toBase64(got) };
}

interface Line {
  length: number;
  leaf?: Bytes;
  index: number;
  id: string;
  same: boolean; // it has the hash that was written with it
  ours: boolean; // it is of this log
}

async function read(b: Uint8Array, mark: string): Promise<Line | { length: number; end: { checkpoint: string; key: string; first: number; end: number } }> {
  const length = b.length + 1;
  const m = tail.exec(new TextDecoder("latin1").decode(b.subarray(Math.max(0, b.length - lookBack))));
  if (!m) {
    try {
      const end = JSON.parse(new TextDecoder().decode(b));
      if (typeof end.checkpoint === "string" && typeof end.key === "string") return { length, end };
    } catch {
      // Neither an event nor an end.
    }
    return { length, index: 0, id: "", same: false, ours: false };
  }
  const data = concat(b.subarray(0, b.length - m[0].length), utf8("}"));
  const leaf = await leafHash(data);
  const text = new TextDecoder().decode(data);
  const hex = Array.from(leaf, (x) => x.toString(16).padStart(2, "0")).join("");
  return { length, leaf, index: Number(m[1]), id: /"id":"(evt_\w+)"/.exec(text)?.[1] ?? "", same: hex === m[2], ours: text.includes(mark) };
}

/** Cuts a stream into its lines, as many as have arrived at a time. */
export async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array[]> {
  const reader = stream.getReader();
  let rest: Uint8Array = new Uint8Array();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const all = rest.length > 0 ? concat(rest, value) : value;
      const out: Uint8Array[] = [];
      let at = 0;
      for (let nl = all.indexOf(10, at); nl >= 0; nl = all.indexOf(10, at)) {
        out.push(all.subarray(at, nl));
        at = nl + 1;
      }
      rest = all.slice(at);
      if (rest.length > maxLine) throw new Refuted("events", "unreadable", { number: 0 });
      // In small portions, so that the page goes on answering.
      for (let i = 0; i < out.length; i += portion) yield out.slice(i, i + portion);
    }
    if (rest.length > 0) yield [rest];
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Takes a file of checkpoints apart: each is a text, an empty line and its
 * signatures. Throws Refuted where one is not signed by the key. */
export async function keptCheckpoints(text: string, signed: Signed): Promise<Due[]> {
  const out: Due[] = [];
  const notes = text.replaceAll("\r\n", "\n").match(/[^\n]+\n[^\n]+\n[^\n]+\n(?:[^\n]+\n)*\n(?:— [^\n]+\n?)+/g) ?? [];
  for (const note of notes) {
    if (!note.startsWith(`${signed.checkpoint.origin}\n`)) continue;
    const c = await openCheckpoint(note.endsWith("\n") ? note : `${note}\n`, signed.key).catch(() => {
      throw new Refuted("kept", "keptSignature");
    });
    out.push({ size: c.size, root: c.root });
  }
  if (out.length === 0 && text.trim()) throw new Refuted("kept", "keptNone");
  return out;
}
