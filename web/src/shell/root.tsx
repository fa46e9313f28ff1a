import { Outlet, useRouterState } from "@tanstack/react-router";
import { Menu as MenuIcon } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { IconButton } from "../ui/button";
import { Gate } from "./gate";
import { mailed } from "./mailed";
import { Palette } from "./palette";
import { Sidebar } from "./sidebar";
import { AlreadyIn, Callback } from "./sso";
import { StepUp } from "./stepup";

/** The frame of every page. */
export function Root() {
  const path = useRouterState({ select: (s) => s.location.pathname });
  const Mailed = mailed[path];
  if (path.startsWith("/login/callback/")) return <Callback />;
  return Mailed ? <Mailed /> : <Gate>{(org) => (path.startsWith("/login/") ? <AlreadyIn /> : <Frame key={org} />)}</Gate>;
}

function Frame() {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  const main = useRef<HTMLElement>(null);
  const path = useRouterState({ select: (s) => s.location.pathname });

  // A new page is told to screen readers by moving to it.
  const first = useRef(true);
  useEffect(() => {
    setOpen(false);
    if (!first.current) main.current?.focus();
    first.current = false;
  }, [path]);

  return (
    <div className="lg:grid lg:grid-cols-[15rem_minmax(0,1fr)]">
      <a href="#main" className="sr-only rounded-md bg-raised px-4 py-2 focus:not-sr-only focus:absolute focus:top-2 focus:left-2 focus:z-50">
        {t("shell.skip")}
      </a>
      <header className="flex items-center justify-between border-b border-line bg-surface px-4 py-2 lg:hidden">
        <span className="flex items-center gap-2 text-base font-semibold">
          <img src="/favicon.svg" alt="" width={22} height={22} />
          VaultPAM
        </span>
        <IconButton label={t("shell.menu")} aria-expanded={open} aria-controls="sidebar" onClick={() => setOpen(!open)}>
          <MenuIcon aria-hidden className="size-5" />
        </IconButton>
      </header>
      <aside id="sidebar" aria-label={t("shell.menu")} className={`${open ? "block" : "hidden"} border-line bg-surface lg:sticky lg:top-0 lg:block lg:h-dvh lg:overflow-y-auto lg:border-r`}>
        <Sidebar />
      </aside>
      <main id="main" ref={main} tabIndex={-1} className="mx-auto w-full max-w-7xl px-4 py-6 sm:px-8 sm:py-8">
        <Outlet />
      </main>
      <Palette />
      <StepUp />
    </div>
  );
}
