import { useRouterState } from "@tanstack/react-router";
import { ChevronsUpDown, Search, UserRound } from "lucide-react";
import { useTranslation } from "react-i18next";
import { useSession, useWho } from "../api/session";
import { choose, languages, type Language } from "../i18n";
import { entries, groups } from "../router";
import { A } from "../ui/link";
import { Menu, MenuChoice, MenuItem, MenuSeparator } from "../ui/menu";
import { openPalette } from "./palette";
import { setTheme, theme, themes } from "./theme";

export function Sidebar() {
  const { t, i18n } = useTranslation();
  const { enter, signOut } = useSession();
  const who = useWho();
  const path = useRouterState({ select: (s) => s.location.pathname });
  const orgs = Object.fromEntries(who.memberships.filter((m) => m.status === "active").map((m) => [m.org_id, m.name]));
  const shown = entries(who);
  // The entry whose page this is, or is below of: the longest that fits.
  const [at] = shown.filter((p) => path === p.path || path.startsWith(`${p.path}/`)).sort((a, b) => b.path.length - a.path.length);
  const trigger = "flex w-full items-center gap-2 rounded-md px-3 py-2 text-left text-sm hover:bg-sunken";

  return (
    <div className="flex min-h-full flex-col gap-4 p-3">
      <div className="hidden items-center gap-2 px-3 pt-2 lg:flex">
        <img src="/favicon.svg" alt="" width={24} height={24} />
        <span className="text-base font-semibold">VaultPAM</span>
      </div>
      <Menu
        align="start"
        trigger={
          <button type="button" className={`${trigger} border border-line`} aria-label={`${t("shell.organization")}: ${orgs[who.org] ?? t("shell.noOrganization")}`}>
            <span className="name line-clamp-1 flex-1 font-medium">{orgs[who.org] ?? t("shell.noOrganization")}</span>
            <ChevronsUpDown aria-hidden className="size-4 shrink-0 text-muted" />
          </button>
        }
      >
        <MenuChoice label={t("shell.organization")} value={who.org} options={orgs} onChange={enter} />
      </Menu>
      <button type="button" onClick={openPalette} className={`${trigger} -mt-2 border border-line text-muted`}>
        <Search aria-hidden className="size-4" />
        <span className="flex-1">{t("shell.jump")}</span>
        <kbd className="rounded border border-line px-1.5 font-mono text-xs">{navigator.platform.startsWith("Mac") ? "⌘K" : "Ctrl K"}</kbd>
      </button>
      <nav aria-label={t("shell.pages")} className="flex-1 space-y-4">
        {groups.map((g) => {
          const items = shown.filter((p) => p.nav.group === g);
          if (items.length === 0) return null;
          return (
            <div key={g}>
              <h2 className="px-3 pb-1 text-xs font-semibold text-faint">{t(`shell.groups.${g}`)}</h2>
              <ul>
                {items.map((p) => {
                  const here = p === at;
                  const Icon = p.nav.icon;
                  return (
                    <li key={p.path}>
                      <A to={p.path} aria-current={here ? "page" : undefined} className={`flex items-center gap-2.5 rounded-md px-3 py-1.5 text-sm ${here ? "bg-accent-soft font-medium text-accent-text" : "text-text hover:bg-sunken"}`}>
                        <Icon aria-hidden className="size-4 shrink-0" />
                        {t(p.nav.label)}
                      </A>
                    </li>
                  );
                })}
              </ul>
            </div>
          );
        })}
      </nav>
      <Menu
        align="start"
        trigger={
          <button type="button" className={trigger} aria-label={t("shell.you", { email: who.me.email })}>
            <UserRound aria-hidden className="size-4 shrink-0" />
            <span className="name line-clamp-1 flex-1">{who.me.name || who.me.email}</span>
            <ChevronsUpDown aria-hidden className="size-4 shrink-0 text-muted" />
          </button>
        }
      >
        <MenuChoice label={t("shell.language")} value={i18n.language} options={languages} onChange={(l) => void choose(l as Language)} />
        <MenuChoice label={t("shell.theme")} value={theme()} options={Object.fromEntries(themes.map((x) => [x, t(`shell.themes.${x}`)]))} onChange={setTheme} />
        <MenuSeparator />
        <MenuItem onSelect={() => void signOut()}>{t("shell.signOut")}</MenuItem>
      </Menu>
    </div>
  );
}
