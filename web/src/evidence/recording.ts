// A recording as it lies on the disk: checked and decrypted here, so that
// nobody needs to believe the server (docs/formats/recording.md).
import { decompress } from "fzstd";
import { concat, equal, fromHex, sha256, signed, toHex, utf8, type Bytes } from "./bytes";
import { leafHash, root } from "./merkle";

export interface Header {
  recording: string;
  session: string;
  org: string;
  protocol: string;
  started: bigint; // microseconds since 1970
  cols: number;
  rows: number;
  hash: Bytes; // of the whole header; the first link of the chain
}

export interface Frame {
  at: number; // microseconds from the start
  kind: string;
  data: Uint8Array;
}

export interface Chunk {
  n: number;
  from: number; // microseconds
  until: number;
  final: boolean;
  recovered: boolean;
  prev: Bytes;
  hash: Bytes;
  frames: Frame[];
}

const chunkHeader = 80;
const maxFrames = 1 << 20;

/** Why a recording cannot be believed. */
export class Tampered extends Error {}

function must(ok: boolean, problem: string): asserts ok {
  if (!ok) throw new Tampered(problem);
}

export async function readHeader(b: Bytes): Promise<Header> {
  const v = new DataView(b.buffer, b.byteOffset, b.byteLength);
  must(b.length >= 14 && new TextDecoder().decode(b.slice(0, 8)) === "VPAMREC\n", "this is no recording");
  must(v.getUint16(8) === 1, "the recording has another version");
  must(v.getUint32(10) === b.length - 14 && b.length - 14 <= 4096, "the header is cut");
  let at = 14;
  const text = () => {
    const n = b[at]!;
    must(at + 1 + n <= b.length, "the header is malformed");
    const s = new TextDecoder("utf-8", { fatal: true }).decode(b.slice(at + 1, at + 1 + n));
    at += 1 + n;
    return s;
  };
  const [recording, session, org, protocol] = [text(), text(), text(), text()];
  must(at + 14 <= b.length, "the header is malformed");
  const started = v.getBigUint64(at);
  return { recording, session, org, protocol, started, cols: v.getUint16(at + 8), rows: v.getUint16(at + 10), hash: await sha256(b) };
}

export const importKey = (key: Bytes) => crypto.subtle.importKey("raw", key, "AES-GCM", false, ["decrypt"]);

/** Checks one chunk by itself and decrypts it. expected is the hash that the
 * signed root vouches for; absent while the recording is in progress. */
export async function openChunk(h: Header, key: CryptoKey, n: number, b: Bytes, expected?: Bytes): Promise<Chunk> {
  must(b.length >= chunkHeader + 16, "the chunk is cut");
  const v = new DataView(b.buffer, b.byteOffset, b.byteLength);
  const head = b.slice(0, chunkHeader);
  const flags = b[4]!;
  must(new TextDecoder().decode(b.slice(0, 4)) === "VPCH" && (flags & ~7) === 0, "the chunk is malformed");
  must(Number(v.getBigUint64(8)) === n, "the chunk has another number");
  const length = v.getUint32(16);
  must(length <= maxFrames && v.getUint32(20) === b.length - chunkHeader, "the chunk is malformed");
  const hash = await sha256(b);
  must(!expected || equal(hash, expected), "the chunk is not the one that was signed");

  const nonce = new Uint8Array(12);
  nonce[0] = flags & 4 ? 1 : 0;
  new DataView(nonce.buffer).setBigUint64(4, BigInt(n));
  const additionalData = concat(utf8(`vaultpam recording v1\n${h.recording}\n`), head);
  let clear: Uint8Array;
  try {
    clear = new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv: nonce, additionalData }, key, b.slice(chunkHeader)));
  } catch {
    throw new Tampered("the chunk was changed");
  }
  if (flags & 2) clear = decompress(clear, new Uint8Array(length));
  must(clear.length === length, "the chunk has another length");
  const from = Number(v.getBigUint64(24));
  const until = Number(v.getBigUint64(32));
  return { n, from, until, final: (flags & 1) !== 0, recovered: (flags & 4) !== 0, prev: b.slice(40, 72), hash, frames: readFrames(clear, from) };
}

function readFrames(b: Uint8Array, from: number): Frame[] {
  const out: Frame[] = [];
  let at = 0;
  let time = from;
  const varint = () => {
    let x = 0;
    for (let shift = 0; shift < 56; shift += 7) {
      const c = b[at++];
      must(c !== undefined, "a frame is cut");
      x += (c & 127) * 2 ** shift;
      if (c < 128) return x;
    }
    throw new Tampered("a frame is malformed");
  };
  while (at < b.length) {
    const kind = String.fromCharCode(b[at++]!);
    time += varint();
    const n = varint();
    must(at + n <= b.length, "a frame is cut");
    out.push({ at: time, kind, data: b.subarray(at, at + n) });
    at += n;
  }
  return out;
}

export interface Seal {
  statement: string;
  signature: Bytes;
  publicKey: Bytes;
}

/** Checks that the seal is of this recording, that its signature holds and
 * that its root is the one over hashes; returns the statement's lines. */
export async function checkSeal(h: Header, seal: Seal, hashes: Bytes[]): Promise<Record<string, string>> {
  const [first, ...lines] = seal.statement.split("\n");
  must(first === "vaultpam recording seal v1" && lines.pop() === "", "the seal is malformed");
  const said = Object.fromEntries(lines.map((l) => [l.slice(0, l.indexOf(" ")), l.slice(l.indexOf(" ") + 1)]));
  must(await signed(seal.publicKey, utf8(seal.statement), seal.signature), "the signature of the seal does not hold");
  must(said.recording === h.recording && said.org === h.org && said.session === h.session && said.protocol === h.protocol, "the seal is of another recording");
  must(said.chunks === String(hashes.length), "the seal speaks of another number of chunks");
  const leaves = await Promise.all(hashes.map(leafHash));
  must(said.root === toHex(await root(leaves)), "the chunks are not those that were sealed");
  must(hashes.length > 0 && equal(fromHex(said.end ?? ""), hashes.at(-1)!), "the last chunk is not the one that was sealed");
  return said;
}
