import { Mail } from "lucide-react";
import type { PageDef } from "../../router";

export default [{ path: "/invitations", load: () => import("./list"), nav: { group: "organization", order: 3, icon: Mail, label: "invitations.title", shown: (who) => who.role === "owner" || who.role === "admin" } }] satisfies PageDef[];
