import { KeyRound } from "lucide-react";
import type { PageDef } from "../../router";

const path = "/organization/sso";
export default [
  { path, load: () => import("./list"), nav: { group: "organization", order: 4, icon: KeyRound, label: "sso.title", shown: (who) => who.role === "owner" || who.role === "admin" } },
  { path: `${path}/new`, load: () => import("./create") },
  { path: `${path}/programs/new`, load: () => import("./program") },
  { path: `${path}/programs/$id`, load: () => import("./program") },
  { path: `${path}/$id`, load: () => import("./edit") },
] satisfies PageDef[];
