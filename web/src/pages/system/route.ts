import { ShieldEllipsis } from "lucide-react";
import type { PageDef } from "../../router";

export default [{ path: "/system", load: () => import("./vault"), nav: { group: "system", order: 1, icon: ShieldEllipsis, label: "system.title", shown: (who) => who.me.instance_admin } }] satisfies PageDef[];
