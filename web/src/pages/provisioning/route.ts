import { FolderSync } from "lucide-react";
import type { PageDef } from "../../router";

export default [{ path: "/organization/provisioning", load: () => import("./tokens"), nav: { group: "organization", order: 5, icon: FolderSync, label: "provisioning.title", shown: (who) => who.role === "owner" || who.role === "admin" } }] satisfies PageDef[];
