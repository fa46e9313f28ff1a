import { ScrollText } from "lucide-react";
import type { PageDef } from "../../router";

export default [
  {
    path: "/audit",
    load: () => import("./list"),
    nav: { group: "evidence", order: 3, icon: ScrollText, label: "audit.title", shown: (who) => who.me.instance_admin || ["owner", "admin", "auditor"].includes(who.role) },
  },
  { path: "/audit/verify", load: () => import("./whole") },
  { path: "/audit/$id", load: () => import("./detail") },
] satisfies PageDef[];
