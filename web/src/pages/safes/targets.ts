import { useQuery } from "@tanstack/react-query";
import { api, ok, type Schemas } from "../../api/client";

/** What a Safe binds: each account with the resource that it logs in at. */
export function useTargets(safe: Pick<Schemas["Safe"], "id" | "bindings">) {
  return useQuery({
    queryKey: ["safes", safe.id, "targets", safe.bindings.map((b) => `${b.resource_id} ${b.account_id}`)],
    queryFn: () =>
      Promise.all(
        safe.bindings.map(async (b) => {
          const [resource, account] = await Promise.all([
            ok(api.GET("/api/v1/resources/{id}", { params: { path: { id: b.resource_id } } })),
            ok(api.GET("/api/v1/accounts/{id}", { params: { path: { id: b.account_id } } })),
          ]);
          return { resource, account };
        }),
      ),
  });
}
