// Signed notes of golang.org/x/mod/sumdb/note, and checkpoints in them.
import { concat, equal, fromBase64, sha256, signed, utf8, type Bytes } from "./bytes";

export interface Checkpoint {
  origin: string;
  size: number;
  root: Bytes;
}

/** Reads a checkpoint whose signature by the key holds; throws otherwise. key
 * is "name+hash+base64", where hash is that of the name and the key. */
export async function openCheckpoint(text: string, key: string): Promise<Checkpoint> {
  const [name, hash, ...rest] = key.split("+");
  const encoded = rest.join("+"); // base64 may hold a plus
  if (!name || !hash || !encoded) throw new Error("the verifier key is malformed");
  const raw = fromBase64(encoded);
  const id = (await sha256(utf8(`${name}\n`), raw)).slice(0, 4);
  if (raw[0] !== 1 || raw.length !== 33 || Array.from(id, (x) => x.toString(16).padStart(2, "0")).join("") !== hash) throw new Error("the verifier key is malformed");

  const at = text.lastIndexOf("\n\n");
  if (at < 0) throw new Error("the note has no signature");
  const body = text.slice(0, at + 1);
  let good = false;
  for (const line of text.slice(at + 2).split("\n")) {
    const m = /^— (\S+) (\S+)$/.exec(line);
    if (!m || m[1] !== name) continue;
    const signature = fromBase64(m[2]!);
    if (!equal(signature.slice(0, 4), id)) continue;
    good = await signed(raw.slice(1), utf8(body), signature.slice(4));
    if (!good) throw new Error("the signature of the checkpoint does not hold");
  }
  if (!good) throw new Error("the checkpoint is not signed by this key");

  const [origin, size, root] = body.split("\n");
  if (origin !== name || !/^(0|[1-9][0-9]*)$/.test(size ?? "") || !root) throw new Error("the checkpoint is malformed");
  return { origin, size: Number(size), root: concat(fromBase64(root)) };
}
