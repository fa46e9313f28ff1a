import { BadgeCheck } from "lucide-react";
import type { PageDef } from "../../router";

export default [
  { path: "/confirmations", load: () => import("./list"), nav: { group: "access", order: 4, icon: BadgeCheck, label: "confirmations.title" } },
  { path: "/confirmations/$id", load: () => import("./detail") },
] satisfies PageDef[];
