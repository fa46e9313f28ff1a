import { CircleUserRound, Fingerprint, Ticket } from "lucide-react";
import type { PageDef } from "../../router";

export default [
  { path: "/profile", load: () => import("./security"), nav: { group: "profile", order: 1, icon: CircleUserRound, label: "profile.security" } },
  { path: "/profile/tokens", load: () => import("./tokens"), nav: { group: "profile", order: 2, icon: Ticket, label: "profile.tokens" } },
  { path: "/profile/ssh-keys", load: () => import("./keys"), nav: { group: "profile", order: 3, icon: Fingerprint, label: "profile.keys" } },
  { path: "/device", load: () => import("./device") },
] satisfies PageDef[];
