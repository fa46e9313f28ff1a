import { KeySquare } from "lucide-react";
import type { PageDef } from "../../router";

export default [
  { path: "/checkouts", load: () => import("./list"), nav: { group: "evidence", order: 1.5, icon: KeySquare, label: "checkouts.title" } },
  { path: "/checkouts/$id", load: () => import("./detail") },
] satisfies PageDef[];
