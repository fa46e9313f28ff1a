import { ClipboardCheck } from "lucide-react";
import type { PageDef } from "../../router";

export default [
  { path: "/reviews", load: () => import("./list"), nav: { group: "evidence", order: 5, icon: ClipboardCheck, label: "reviews.title" } },
  { path: "/reviews/$id", load: () => import("./detail") },
] satisfies PageDef[];
