import { FileKey2 } from "lucide-react";
import type { PageDef } from "../../router";

export default [
  { path: "/organization/ssh-ca", load: () => import("./authorities"), nav: { group: "organization", order: 7, icon: FileKey2, label: "sshca.title", shown: (who) => ["owner", "admin", "auditor"].includes(who.role) } },
] satisfies PageDef[];
