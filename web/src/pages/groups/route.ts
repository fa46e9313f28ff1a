import { UsersRound } from "lucide-react";
import type { PageDef } from "../../router";

export default [
  { path: "/groups", load: () => import("./list"), nav: { group: "organization", order: 2, icon: UsersRound, label: "groups.title" } },
  { path: "/groups/$id", load: () => import("./detail") },
] satisfies PageDef[];
