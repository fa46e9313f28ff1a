import { Compass } from "lucide-react";
import type { PageDef } from "../../router";

export default [{ path: "/start", load: () => import("./guide"), nav: { group: "access", order: 9, icon: Compass, label: "start.title", shown: (who) => who.role === "owner" || who.role === "admin" } }] satisfies PageDef[];
