import type { PageDef } from "../../router";

// Below the accounts, of which these are users; the sidebar has their entry.
export default [{ path: "/accounts/leases", load: () => import("./list") }] satisfies PageDef[];
