// Checks one event against the log's signed checkpoint, step by step. The
// server is asked for numbers, and believed in nothing.
import type { Schemas } from "../../api/client";
import { fromBase64, toBase64, toHex, type Bytes } from "../../evidence/bytes";
import { leafData } from "../../evidence/event";
import { included, leafHash } from "../../evidence/merkle";
import { openCheckpoint, type Checkpoint } from "../../evidence/note";
import { grew } from "./consistency";

/** What is known of a step: its text is audit.steps.<id>.<state>. */
export interface Step {
  id: StepId;
  state: "good" | "bad" | "new";
  values: Record<string, string | number>;
  /** Hashes and keys, for who wants to do it again. */
  facts?: Record<string, string>;
}
export const eventSteps = ["hash", "signature", "inclusion", "memory"] as const;
export type StepId = (typeof eventSteps)[number] | "events" | "root" | "kept";

/** Where numbers come from. */
export interface Server {
  checkpoint(): Promise<{ note: string; key: string }>;
  inclusion(leaf: number, size: number): Promise<string[]>;
  consistency(from: number, size: number): Promise<string[]>;
}

/** The checkpoint that was seen last. */
export interface Seen {
  key: string;
  size: number;
  root: string; // base64
}

export interface Memory {
  read(origin: string): Seen | undefined;
  write(origin: string, seen: Seen): void;
}

/** Ends a check: the step's id, and why as audit.why.<reason>. */
export class Refuted extends Error {
  constructor(
    readonly step: StepId,
    readonly reason: string,
    readonly values: Record<string, string | number> = {},
    readonly facts?: Record<string, string>,
  ) {
    super(reason);
  }
}

export const originOf = (org: string) => `vaultpam/${org || "instance"}`;

export interface Signed {
  checkpoint: Checkpoint;
  note: string;
  key: string;
}

/** Fetches the checkpoint of a log and checks its signature. */
export async function signedCheckpoint(origin: string, server: Server): Promise<Signed> {
  const { note, key } = await server.checkpoint();
  try {
    const checkpoint = await openCheckpoint(note, key);
    if (checkpoint.origin !== origin) throw new Error("origin");
    return { checkpoint, note, key };
  } catch {
    throw new Refuted("signature", "signature", {}, { note, key });
  }
}

/** Checks that the log is the one that this browser has seen before, grown
 * or the same, and remembers it. seen is what it remembered before the
 * checkpoint was fetched. */
export async function compare(now: Signed, seen: Seen | undefined, server: Server, memory: Memory): Promise<Step> {
  const { checkpoint: c, key } = now;
  if (seen) {
    const values = { before: seen.size, size: c.size };
    if (seen.key !== key) throw new Refuted("memory", "otherKey", values, { before: seen.key, now: key });
    if (c.size < seen.size) throw new Refuted("memory", "shorter", values);
    const path = c.size === seen.size ? [] : (await server.consistency(seen.size, c.size)).map(fromBase64);
    if (!(await grew(seen.size, fromBase64(seen.root), c.size, c.root, path))) throw new Refuted("memory", "forked", values);
  }
  memory.write(c.origin, { key, size: c.size, root: toBase64(c.root) });
  return { id: "memory", state: seen ? "good" : "new", values: { before: seen?.size ?? 0, size: c.size } };
}

/** Checks an event as this page shows it. Each step is reported when it is
 * done; the first that fails is thrown as Refuted. */
export async function verifyEvent(e: Schemas["AuditEvent"], server: Server, memory: Memory, report: (s: Step) => void): Promise<void> {
  const index = e.leaf_index!;
  const origin = originOf(e.org_id);
  const seen = memory.read(origin);

  let leaf: Bytes;
  try {
    leaf = await leafHash(leafData(e));
  } catch {
    throw new Refuted("hash", "malformed");
  }
  const hex = toHex(leaf);
  if (hex !== e.leaf_hash) throw new Refuted("hash", "edited", {}, { here: hex, there: e.leaf_hash });
  report({ id: "hash", state: "good", values: {}, facts: { leaf: hex } });

  const signed = await signedCheckpoint(origin, server);
  const { size, root } = signed.checkpoint;
  report({ id: "signature", state: "good", values: { size }, facts: { origin, root: toBase64(root), key: signed.key } });

  const path = await server.inclusion(index, size);
  let holds = false;
  try {
    holds = await included(leaf, index, size, path.map(fromBase64), root);
  } catch {
    // A path that cannot be read proves nothing.
  }
  if (!holds) throw new Refuted("inclusion", "notIncluded", { number: index + 1, size });
  report({ id: "inclusion", state: "good", values: { number: index + 1, size, count: path.length }, facts: Object.fromEntries(path.map((h, i) => [String(i + 1), h])) });

  report(await compare(signed, seen, server, memory));
}

