// From ids to names and back.
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, ok } from "../../api/client";
import type { Choice } from "./query";

const one: Record<string, (id: string) => Promise<string>> = {
  usr: async (user_id) => (await ok(api.GET("/api/v1/org/members/{user_id}", { params: { path: { user_id } } }))).email,
  saf: async (id) => (await ok(api.GET("/api/v1/safes/{id}", { params: { path: { id } } }))).name,
  res: async (id) => (await ok(api.GET("/api/v1/resources/{id}", { params: { path: { id } } }))).name,
  acc: async (id) => (await ok(api.GET("/api/v1/accounts/{id}", { params: { path: { id } } }))).name,
};

/** What people call the thing with this id; the id itself where it has no
 * name, or is gone. */
export function useName(id: string | undefined): string {
  const load = one[(id ?? "").split("_")[0]!];
  const { data } = useQuery({ queryKey: ["name", id], queryFn: () => load!(id!), enabled: !!id && !!load, retry: false, staleTime: 60_000 });
  return data ?? id ?? "";
}

/** The word for a constant of the API, and the constant where there is none. */
export function useTerm(): (area: "categories" | "things" | "spans", constant: string) => string {
  const { t, i18n } = useTranslation();
  return (area, constant) => (i18n.exists(`audit.${area}.${constant}`) ? t(`audit.${area}.${constant}`) : constant);
}

/** People and things under a name, as choices of the query bar. */
export async function find(q: string, who: "actor" | "target" | "any", signal?: AbortSignal): Promise<Choice[]> {
  const params = { query: { q, limit: 5 } };
  const [members, safes, resources, accounts] = await Promise.all([
    ok(api.GET("/api/v1/org/members", { params, signal })),
    ...(who === "actor"
      ? [[], [], []]
      : [ok(api.GET("/api/v1/safes", { params, signal })), ok(api.GET("/api/v1/resources", { params, signal })), ok(api.GET("/api/v1/accounts", { params, signal }))]),
  ]);
  const things = [
    ...safes!.map((x) => ({ ...x, kind: "safe" })),
    ...resources!.map((x) => ({ ...x, kind: "resource" })),
    ...accounts!.map((x) => ({ ...x, kind: "account" })),
  ];
  return [
    ...(who === "target" ? [] : members.map((m): Choice => ({ key: "actor", set: { actor_id: m.user_id }, label: m.email, detail: m.name }))),
    ...(who === "actor" ? [] : members.map((m): Choice => ({ key: "target", set: { target_id: m.user_id }, label: m.email, kind: "user" }))),
    ...things.map((x): Choice => ({ key: "target", set: { target_id: x.id }, label: x.name, kind: x.kind })),
  ];
}

/** The id of the one that has exactly this name, or the only one that has it
 * in its name. */
export async function idOf(name: string, who: "actor" | "target"): Promise<string | undefined> {
  const hits = await find(name, who);
  const same = hits.filter((c) => c.label.toLowerCase() === name.toLowerCase());
  const hit = same[0] ?? (hits.length === 1 ? hits[0] : undefined);
  return hit && Object.values(hit.set!)[0];
}
