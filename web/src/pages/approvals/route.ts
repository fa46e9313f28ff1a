import { UserRoundCheck } from "lucide-react";
import type { PageDef } from "../../router";

export default [
  { path: "/approvals", load: () => import("./list"), nav: { group: "access", order: 3.5, icon: UserRoundCheck, label: "approvals.title" } },
  { path: "/approvals/$id", load: () => import("./detail") },
] satisfies PageDef[];
