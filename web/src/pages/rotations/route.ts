import type { PageDef } from "../../router";

// Below the accounts, whose credentials these are; the sidebar has their entry.
export default [
  { path: "/accounts/rotations", load: () => import("./list") },
  { path: "/accounts/health", load: () => import("./health") },
  { path: "/accounts/$id/rotation", load: () => import("./settings") },
] satisfies PageDef[];
