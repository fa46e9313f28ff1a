// Merkle trees as in RFC 6962 section 2.1.
import { concat, equal, sha256, type Bytes } from "./bytes";

const leafPrefix = Uint8Array.of(0);
const nodePrefix = Uint8Array.of(1);

export const leafHash = (data: Uint8Array) => sha256(leafPrefix, data);
export const nodeHash = (left: Uint8Array, right: Uint8Array) => sha256(concat(nodePrefix, left, right));

/** The root over leaf hashes, in order. */
export async function root(leaves: Bytes[]): Promise<Bytes> {
  if (leaves.length === 0) return sha256();
  if (leaves.length === 1) return leaves[0]!;
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return nodeHash(await root(leaves.slice(0, split)), await root(leaves.slice(split)));
}

/** Whether path proves that the leaf at index is in the tree of size leaves
 * with this root (RFC 9162 section 2.1.3.2, the same trees). */
export async function included(leaf: Bytes, index: number, size: number, path: Bytes[], expected: Bytes): Promise<boolean> {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return false;
  let fn = index;
  let sn = size - 1;
  let r = leaf;
  for (const p of path) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      r = await nodeHash(p, r);
      while (fn % 2 === 0 && fn !== 0) {
        fn = Math.floor(fn / 2);
        sn = Math.floor(sn / 2);
      }
    } else {
      r = await nodeHash(r, p);
    }
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 && equal(r, expected);
}
