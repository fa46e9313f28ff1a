import { useQuery } from "@tanstack/react-query";
import { api, ok, type Schemas } from "../../api/client";

/** An account and where it logs in, as far as every reader of the Safe sees them. */
export interface Target {
  resource: Pick<Schemas["Resource"], "id" | "name" | "type"> & Partial<Schemas["Resource"]>;
  account: Pick<Schemas["Account"], "id" | "name" | "username"> & Partial<Schemas["Account"]>;
}

/** What a Safe binds: each account with the resource that it logs in at. Who is
 * named for its emergencies alone has their names from the Safe itself. */
export function useTargets(safe: Pick<Schemas["Safe"], "id" | "bindings" | "emergency_targets">, enabled = true) {
  const stand = safe.emergency_targets;
  return useQuery<Target[]>({
    queryKey: ["safes", safe.id, "targets", safe.bindings.map((b) => `${b.resource_id} ${b.account_id}`), stand?.length],
    enabled,
    queryFn: () =>
      stand
        ? stand.map((x) => ({ resource: { id: x.resource_id, name: x.resource_name, type: x.resource_type as Target["resource"]["type"] }, account: { id: x.account_id, name: x.account_name, username: x.username } }))
        : Promise.all(
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
