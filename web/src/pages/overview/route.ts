import { LayoutDashboard } from "lucide-react";
import type { PageDef } from "../../router";

export default [{ path: "/", load: () => import("./overview"), nav: { group: "access", order: 0, icon: LayoutDashboard, label: "overview.title" } }] satisfies PageDef[];
