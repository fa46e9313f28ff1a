// Every page is a folder in pages/ with a route.ts; nothing else names it.
import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import type { LucideIcon } from "lucide-react";
import type { ComponentType } from "react";
import type { Who } from "./api/session";
import { NotFound, PageError } from "./shell/fallbacks";
import { Root } from "./shell/root";

/** The groups of the sidebar, from above. */
export const groups = ["access", "evidence", "organization", "profile", "system"] as const;

export interface PageDef {
  /** Such as "/safes/$id". */
  path: string;
  load: () => Promise<{ default: ComponentType }>;
  /** The entry in the sidebar and the command palette; without it the page is reached from others. */
  nav?: {
    group: (typeof groups)[number];
    order: number; // within the group
    icon: LucideIcon;
    label: string; // key of its text
    /** Whether the person has any business there. */
    shown?: (who: Who) => boolean;
  };
}

const found = import.meta.glob<PageDef[]>("./pages/*/route.ts", { eager: true, import: "default" });
export const pages: PageDef[] = Object.values(found).flat();

/** The entries that a person sees, in the order of the sidebar. */
export function entries(who: Who): (PageDef & { nav: NonNullable<PageDef["nav"]> })[] {
  const place = (nav: NonNullable<PageDef["nav"]>) => 100 * groups.indexOf(nav.group) + nav.order;
  return pages.flatMap((p) => (p.nav && (p.nav.shown?.(who) ?? true) ? [{ ...p, nav: p.nav }] : [])).sort((a, b) => place(a.nav) - place(b.nav));
}

const root = createRootRoute({ component: Root, notFoundComponent: NotFound, errorComponent: PageError });

export const router = createRouter({
  routeTree: root.addChildren(pages.map((p) => createRoute({ getParentRoute: () => root, path: p.path, component: lazyRouteComponent(p.load) }))),
  // Filters read as people write them: ?q=web&sort=-name, all of them text.
  parseSearch: (s) => Object.fromEntries(new URLSearchParams(s)),
  stringifySearch: (o) => {
    const s = new URLSearchParams(Object.entries(o).filter(([, v]) => v !== undefined && v !== "") as [string, string][]).toString();
    return s && `?${s}`;
  },
  defaultPreload: "intent",
  scrollRestoration: true,
  defaultErrorComponent: PageError,
  defaultNotFoundComponent: NotFound,
});

// Paths are data, so links are not checked against them by the compiler; the
// end-to-end tests follow each.
declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
