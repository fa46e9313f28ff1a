import { BellRing } from "lucide-react";
import type { PageDef } from "../../router";

export default [
  { path: "/organization/notifications", load: () => import("./list"), nav: { group: "organization", order: 6, icon: BellRing, label: "notifications.title", shown: (who) => who.role === "owner" || who.role === "admin" } },
  { path: "/organization/notifications/$id", load: () => import("./detail") },
] satisfies PageDef[];
