import { Users } from "lucide-react";
import type { PageDef } from "../../router";

export default [{ path: "/members", load: () => import("./list"), nav: { group: "organization", order: 1, icon: Users, label: "members.title" } }] satisfies PageDef[];
