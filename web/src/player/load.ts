// Fetches a recording chunk by chunk, believes none of it before it is
// checked, and turns it into what the player takes.
import { answer, api, ApiError, context, ok } from "../api/client";
import { equal, fromBase64, fromHex, type Bytes } from "../evidence/bytes";
import { checkSeal, importKey, openChunk, readHeader, Tampered, type Frame } from "../evidence/recording";
import { Transcript, type Line } from "./transcript";

export type PlayerEvent = [ms: number, code: "o" | "r" | "m", data: string]; // as the player's own parsers give them

export interface Progress {
  chunks: number;
  of: number;
  verifiedUntil: number; // microseconds
}

export interface Loaded {
  cols: number;
  rows: number;
  events: PlayerEvent[];
  lines: Line[];
  verifiedUntil: number; // microseconds
  sealed: boolean; // the seal was checked: nothing is missing at the end
  recovered: boolean;
  problem: string; // why it is not believed beyond verifiedUntil; ""
}

export async function load(id: string, progress: (p: Progress) => void, signal: AbortSignal): Promise<Loaded> {
  const params = { path: { id } };
  const manifest = await ok(api.GET("/api/v1/recordings/{id}/chunks", { params, signal }));
  const key = await importKey(fromBase64((await ok(api.POST("/api/v1/recordings/{id}/key", { params, signal }))).key));
  const out: Loaded = { cols: 80, rows: 24, events: [], lines: [], verifiedUntil: 0, sealed: false, recovered: false, problem: "" };
  const transcript = new Transcript();
  const decoder = new TextDecoder();
  try {
    const header = await readHeader(fromBase64(manifest.header));
    if (header.recording !== id) throw new Tampered("this is another recording");
    out.cols = header.cols;
    out.rows = header.rows;
    const hashes = manifest.chunks.map((c) => fromHex(c.hash));
    const { seal } = manifest;
    if (seal) {
      // The key is the vault's; the one that the file names proves nothing.
      if (seal.public_key !== manifest.organization_key) throw new Tampered("the seal is signed by another key");
      const said = await checkSeal(header, { statement: seal.statement, signature: fromBase64(seal.signature), publicKey: fromBase64(manifest.organization_key) }, hashes);
      if (said.root !== manifest.root_hash) throw new Tampered("the audit log names another recording");
      out.sealed = true;
      out.recovered = said.how === "recovered";
    } else if (manifest.status !== "in_progress") throw new Tampered("the seal is missing");
    let prev: Bytes = header.hash;
    let final = false;
    for (const [n, c] of manifest.chunks.entries()) {
      const b = await fetchChunk(id, n, signal);
      if (b.length !== c.size) throw new Tampered("the chunk is cut");
      const chunk = await openChunk(header, key, n, b, hashes[n]);
      if (!equal(chunk.prev, prev)) throw new Tampered("the chain of chunks is broken");
      prev = chunk.hash;
      final = chunk.final;
      for (const f of chunk.frames) take(f);
      out.verifiedUntil = chunk.until;
      progress({ chunks: n + 1, of: manifest.chunks.length, verifiedUntil: chunk.until });
    }
    if (out.sealed && !final) throw new Tampered("the end is missing");
  } catch (e) {
    if (!(e instanceof Tampered)) throw e;
    out.problem = e.message;
  }
  out.lines = transcript.end();
  return out;

  function take(f: Frame): void {
    const t = f.at / 1e3;
    if (f.kind === "o") {
      transcript.output(f.at, f.data);
      const text = decoder.decode(f.data, { stream: true });
      if (text) out.events.push([t, "o", text]);
    } else if (f.kind === "r" && f.data.length === 4) {
      const v = new DataView(f.data.buffer, f.data.byteOffset, 4);
      out.events.push([t, "r", `${v.getUint16(0)}x${v.getUint16(2)}`]);
    }
  }
}

async function fetchChunk(id: string, n: number, signal: AbortSignal): Promise<Bytes> {
  const { data } = await answer(api.GET("/api/v1/recordings/{id}/chunks/{n}", { params: { path: { id, n } }, parseAs: "arrayBuffer", signal }));
  return new Uint8Array(data as unknown as ArrayBuffer);
}

/** Fetches the asciicast, for keeping. */
export async function download(id: string): Promise<void> {
  const response = await fetch(`/api/v1/recordings/${encodeURIComponent(id)}/content`, { headers: context.org ? { "X-Active-Org-Id": context.org } : {} });
  if (!response.ok) throw new ApiError(response.status, "INTERNAL", await response.text());
  const url = URL.createObjectURL(await response.blob());
  const a = Object.assign(document.createElement("a"), { href: url, download: `${id}.cast` });
  a.click();
  URL.revokeObjectURL(url);
}
