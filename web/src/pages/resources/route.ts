import { Server } from "lucide-react";
import type { PageDef } from "../../router";

export default [
  { path: "/resources", load: () => import("./list"), nav: { group: "access", order: 2, icon: Server, label: "resources.title" } },
  { path: "/resources/new", load: () => import("./create") },
  { path: "/resources/$id", load: () => import("./detail") },
  { path: "/resources/$id/edit", load: () => import("./edit") },
] satisfies PageDef[];
