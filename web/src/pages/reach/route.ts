import { ContactRound, Waypoints } from "lucide-react";
import type { PageDef } from "../../router";

export default [
  { path: "/access", load: () => import("./list"), nav: { group: "evidence", order: 4, icon: Waypoints, label: "reach.title", shown: (who) => who.role !== "operator" } },
  { path: "/profile/access", load: () => import("./own"), nav: { group: "profile", order: 4, icon: ContactRound, label: "reach.own" } },
] satisfies PageDef[];
