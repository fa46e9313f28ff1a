// The API as what checks evidence asks it, and the browser's memory of
// checkpoints. A checkpoint is no secret.
import { api, ok } from "../../api/client";
import type { Memory, Seen, Server } from "./verify";

export function serverOf(instance: boolean): Server {
  const log = instance ? { instance } : {};
  return {
    checkpoint: () => ok(api.GET("/api/v1/audit-log/checkpoint", { params: { query: log } })),
    inclusion: async (leaf_index, tree_size) => (await ok(api.GET("/api/v1/audit-log/proof", { params: { query: { ...log, leaf_index, tree_size } } }))).hashes,
    consistency: async (from_size, tree_size) => (await ok(api.GET("/api/v1/audit-log/proof", { params: { query: { ...log, from_size, tree_size } } }))).hashes,
  };
}

const name = (origin: string) => `checkpoint ${origin}`;

export const memory: Memory & { forget(origin: string): void } = {
  read(origin) {
    try {
      const s = JSON.parse(localStorage.getItem(name(origin)) ?? "null") as Seen | null;
      return s && typeof s.key === "string" && typeof s.size === "number" && typeof s.root === "string" ? s : undefined;
    } catch {
      return undefined;
    }
  },
  write: (origin, seen) => localStorage.setItem(name(origin), JSON.stringify(seen)),
  forget: (origin) => localStorage.removeItem(name(origin)),
};
