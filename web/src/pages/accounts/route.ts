import { KeyRound } from "lucide-react";
import type { PageDef } from "../../router";

export default [
  { path: "/accounts", load: () => import("./list"), nav: { group: "access", order: 3, icon: KeyRound, label: "accounts.title" } },
  { path: "/accounts/new", load: () => import("./create") },
  { path: "/accounts/import", load: () => import("./import") },
  { path: "/accounts/$id", load: () => import("./detail") },
  { path: "/accounts/$id/edit", load: () => import("./edit") },
] satisfies PageDef[];
