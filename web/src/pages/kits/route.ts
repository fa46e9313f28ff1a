import { BriefcaseMedical } from "lucide-react";
import type { PageDef } from "../../router";

export default [
  { path: "/kits", load: () => import("./list"), nav: { group: "evidence", order: 3.5, icon: BriefcaseMedical, label: "kits.title", shown: (who) => ["owner", "admin", "auditor"].includes(who.role) } },
  { path: "/kits/$id", load: () => import("./detail") },
  { path: "/safes/$id/kit", load: () => import("./create") },
] satisfies PageDef[];
