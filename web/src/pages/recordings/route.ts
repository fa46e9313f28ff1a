import { Film } from "lucide-react";
import type { PageDef } from "../../router";

// One recording is a document of its own: player.html.
export default [{ path: "/recordings", load: () => import("./list"), nav: { group: "evidence", order: 2, icon: Film, label: "recordings.title" } }] satisfies PageDef[];
