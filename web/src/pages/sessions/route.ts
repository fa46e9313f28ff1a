import { Activity } from "lucide-react";
import type { PageDef } from "../../router";

export default [
  { path: "/sessions", load: () => import("./list"), nav: { group: "evidence", order: 1, icon: Activity, label: "sessions.title" } },
  { path: "/sessions/$id", load: () => import("./detail") },
] satisfies PageDef[];
