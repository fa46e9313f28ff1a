import { Scale } from "lucide-react";
import type { PageDef } from "../../router";

export default [
  { path: "/policies", load: () => import("./list"), nav: { group: "access", order: 5, icon: Scale, label: "policies.title", shown: (who) => who.role !== "operator" } },
  { path: "/policies/new", load: () => import("./create") },
  { path: "/policies/try", load: () => import("./try") },
  { path: "/policies/$id", load: () => import("./detail") },
  { path: "/policies/$id/edit", load: () => import("./edit") },
] satisfies PageDef[];
