// What has become of the secrets of a kit since it was made.
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { answer, api, nextCursor, ok, type Schemas } from "../../api/client";
import { Badge } from "../../ui/feedback";
import { fateOf, unmade, type KitRecord } from "./record";

const page = 1000;
const pages = 10;

interface Accounts {
  by: Map<string, Schemas["Account"]>;
  /** All that are there were read, so that what is missing is gone. */
  complete: boolean;
}

/** Reads accounts until all that are wanted have come. */
async function read(wanted: Set<string>): Promise<Accounts> {
  const by: Accounts["by"] = new Map();
  const missing = new Set(wanted);
  let cursor: string | undefined;
  for (let i = 0; i < pages && missing.size > 0; i++) {
    const { data, response } = await answer(api.GET("/api/v1/accounts", { params: { query: { limit: page, cursor } } }));
    for (const a of data) if (missing.delete(a.id)) by.set(a.id, a);
    cursor = nextCursor(response) || undefined;
    if (!cursor) return { by, complete: true };
  }
  return { by, complete: missing.size === 0 };
}

/** The accounts of kits as they are now. */
export function useAccounts(kits: KitRecord[] | undefined) {
  const ids = [...new Set(kits?.flatMap((k) => [...k.held.keys()]))].sort();
  return useQuery({ queryKey: ["accounts", "of-kits", ids], queryFn: () => read(new Set(ids)), enabled: ids.length > 0, retry: 1 });
}

/** Kits that were on record and were not made. */
export function useUnmade() {
  return useQuery({ queryKey: ["audit", "kits-unmade"], queryFn: async () => unmade(await ok(api.GET("/api/v1/audit-events", { params: { query: { type: "BREAK_GLASS_REFUSED", limit: 1000 } } }))), retry: 1 });
}

/** How far a kit still opens what it should. */
export function Standing({ kit, accounts, failed }: { kit: KitRecord; accounts: Accounts | undefined; failed: boolean }) {
  const { t } = useTranslation();
  if (failed) return <Badge tone="plain">{t("kits.unmade")}</Badge>;
  if (!accounts || kit.held.size === 0) return <span className="text-faint">–</span>;
  const fates = [...kit.held].map(([id, version]) => fateOf(version, accounts.by.get(id)?.credential?.version, accounts.complete));
  const old = fates.filter((f) => f === "changed" || f === "gone").length;
  if (old > 0) return <Badge tone="warn">{t("kits.stale", { count: old })}</Badge>;
  return fates.includes("unknown") || kit.held.size < kit.accounts ? <span className="text-faint">–</span> : <Badge tone="quiet">{t("kits.fresh")}</Badge>;
}
