// Consistency proofs of the log: that the tree with one root grew into the
// tree with another (RFC 9162 section 2.1.4.2, the same trees as RFC 6962).
import { equal, type Bytes } from "../../evidence/bytes";
import { nodeHash } from "../../evidence/merkle";

/** Whether path proves that the first `from` leaves of the tree of `size`
 * leaves with root `to` are those of the tree with root `old`. */
export async function grew(from: number, old: Bytes, size: number, to: Bytes, path: Bytes[]): Promise<boolean> {
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(size) || from < 0 || from > size) return false;
  if (from === size) return path.length === 0 && equal(old, to);
  if (from === 0) return path.length === 0; // no leaves begin every tree
  let fn = from - 1;
  let sn = size - 1;
  const half = (n: number) => Math.floor(n / 2);
  while (fn % 2 === 1) {
    fn = half(fn);
    sn = half(sn);
  }
  // A tree that is full stands for itself.
  const rest = [...path];
  const first = fn === 0 ? old : rest.shift();
  if (!first) return false;
  let a = first;
  let b = first;
  for (const p of rest) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      a = await nodeHash(p, a);
      b = await nodeHash(p, b);
      while (fn % 2 === 0 && fn !== 0) {
        fn = half(fn);
        sn = half(sn);
      }
    } else {
      b = await nodeHash(b, p);
    }
    fn = half(fn);
    sn = half(sn);
  }
  return sn === 0 && equal(a, old) && equal(b, to);
}
