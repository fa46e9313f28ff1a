import { Settings } from "lucide-react";
import type { PageDef } from "../../router";

export default [{ path: "/organization", load: () => import("./settings"), nav: { group: "organization", order: 9, icon: Settings, label: "organization.title", shown: (who) => who.role === "owner" || who.role === "admin" } }] satisfies PageDef[];
