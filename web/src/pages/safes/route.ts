import { Vault } from "lucide-react";
import type { PageDef } from "../../router";

export default [
  { path: "/safes", load: () => import("./list"), nav: { group: "access", order: 1, icon: Vault, label: "safes.title" } },
  { path: "/safes/new", load: () => import("./create") },
  { path: "/safes/$id", load: () => import("./detail") },
  { path: "/safes/$id/edit", load: () => import("./edit") },
] satisfies PageDef[];
