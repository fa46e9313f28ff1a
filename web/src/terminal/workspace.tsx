import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Columns2, Plus, X } from "lucide-react";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok } from "../api/client";
import { Button, IconButton } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { Empty, Loading, Problem } from "../ui/feedback";
import { Field, Input } from "../ui/field";
import { mayLaunch } from "../pages/safes/launch";
import { Declare } from "./declare";
import { Pane } from "./pane";
import { Target } from "./target";

/** What one tab was opened for. */
export interface Want {
  key: number;
  safe: string;
  resource?: string;
  account?: string;
  /** By break-glass; the reason is asked for here, and stands in no address. */
  emergency?: boolean;
  reason?: string;
}

let keys = 0;

function first(): Want[] {
  const q = new URLSearchParams(location.search);
  const safe = q.get("safe");
  return safe ? [{ key: ++keys, safe, resource: q.get("resource") ?? undefined, account: q.get("account") ?? undefined, emergency: q.get("emergency") === "true" }] : [];
}

/** Terminals in tabs, one or two in sight. Closing the page ends them. */
export function Workspace() {
  const { t } = useTranslation();
  const [tabs, setTabs] = useState(first);
  const [shown, setShown] = useState<number[]>(() => tabs.map((w) => w.key).slice(0, 1));
  const [split, setSplit] = useState(false);
  const [titles, setTitles] = useState<Record<number, string>>({});
  const [open, setOpen] = useState<Record<number, boolean>>({});
  const [picking, setPicking] = useState(tabs.length === 0);

  const any = Object.values(open).some(Boolean);
  useEffect(() => {
    if (!any) return;
    const ask = (e: BeforeUnloadEvent) => e.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, [any]);
  const title = titles[shown[0] ?? 0];
  useEffect(() => {
    document.title = `${title ?? t("terminal.title")} · VaultPAM`;
  }, [title, t]);

  const show = (key: number) => setShown((s) => [key, ...s.filter((k) => k !== key)].slice(0, 2));
  function add(w: Omit<Want, "key">) {
    const tab = { ...w, key: ++keys };
    setTabs((all) => [...all, tab]);
    show(tab.key);
    setPicking(false);
  }
  function drop(key: number) {
    const left = tabs.filter((w) => w.key !== key);
    setTabs(left);
    setOpen(({ [key]: _, ...rest }) => rest);
    setShown((s) => {
      const rest = s.filter((k) => k !== key);
      return rest.length > 0 || left.length === 0 ? rest : [left.at(-1)!.key];
    });
  }
  const visible = (split ? tabs.map((w) => w.key).filter((k) => shown.includes(k)) : shown.slice(0, 1)) as number[];

  return (
    <main id="main" className="flex h-dvh flex-col">
      <h1 className="sr-only">{t("terminal.title")}</h1>
      <div className="flex items-center gap-1 border-b border-line bg-surface px-2 py-1">
        <a href="/safes" className="mr-2 shrink-0 rounded-md p-1" aria-label={t("terminal.back")}>
          <img src="/favicon.svg" alt="" width={24} height={24} />
        </a>
        <ul className="flex min-w-0 flex-1 gap-1 overflow-x-auto" aria-label={t("terminal.tabs")}>
          {tabs.map((w) => (
            <li key={w.key} className={`flex shrink-0 items-center rounded-md text-sm ${visible.includes(w.key) ? "bg-accent-soft text-accent-text" : "hover:bg-sunken"}`}>
              <button type="button" aria-current={visible.includes(w.key) ? "true" : undefined} onClick={() => show(w.key)} className="name max-w-56 truncate py-1.5 pl-3">
                {titles[w.key] ?? t("terminal.connecting")}
              </button>
              <IconButton label={t("terminal.closeTab", { name: titles[w.key] ?? "" })} onClick={() => drop(w.key)} className="!size-8">
                <X aria-hidden className="size-3.5" />
              </IconButton>
            </li>
          ))}
        </ul>
        <IconButton label={t("terminal.add")} onClick={() => setPicking(true)}>
          <Plus aria-hidden className="size-4" />
        </IconButton>
        <IconButton label={t("terminal.split")} aria-pressed={split} onClick={() => setSplit(!split)} className={split ? "bg-accent-soft" : ""}>
          <Columns2 aria-hidden className="size-4" />
        </IconButton>
      </div>
      <div className={`grid min-h-0 flex-1 ${visible.length > 1 ? "grid-rows-2 gap-px bg-line md:grid-cols-2 md:grid-rows-1" : ""}`}>
        {tabs.map((w) => (
          <div key={w.key} hidden={!visible.includes(w.key)} className="min-h-0 min-w-0">
            <Target want={w} onTitle={(s) => setTitles((x) => ({ ...x, [w.key]: s }))} onChoose={(resource, account) => setTabs((all) => all.map((x) => (x === w ? { ...w, resource, account } : x)))}>
              {w.emergency && !w.reason ? (
                <Declare want={w} onTitle={(s) => setTitles((x) => ({ ...x, [w.key]: s }))} onDeclare={(reason) => setTabs((all) => all.map((x) => (x === w ? { ...w, reason } : x)))} />
              ) : (
                <Pane want={w} seen={visible.includes(w.key)} onTitle={(s) => setTitles((x) => ({ ...x, [w.key]: s }))} onOpen={(o) => setOpen((x) => ({ ...x, [w.key]: o }))} />
              )}
            </Target>
          </div>
        ))}
        {tabs.length === 0 && (
          <div className="p-6">
            <Empty title={t("terminal.none")} action={<Button kind="primary" onClick={() => setPicking(true)}>{t("terminal.add")}</Button>} />
          </div>
        )}
      </div>
      {picking && <Pick onClose={() => setPicking(false)} onPick={add} />}
    </main>
  );
}

/** Chooses the Safe of a new tab. */
function Pick({ onClose, onPick }: { onClose: () => void; onPick: (w: Omit<Want, "key">) => void }) {
  const { t } = useTranslation();
  const [q, setQ] = useState("");
  const { data, error } = useQuery({ queryKey: ["safes", "launchable", q], placeholderData: keepPreviousData, queryFn: () => ok(api.GET("/api/v1/safes", { params: { query: { q, locked: "false", limit: 100 } } })) });
  const safes = data?.filter((s) => mayLaunch(s) && !s.locked && s.bindings.length > 0);
  return (
    <Dialog title={t("terminal.add")} onClose={onClose}>
      <Field label={t("terminal.findSafe")}>
        <Input type="search" value={q} onChange={(e) => setQ(e.target.value)} autoComplete="off" />
      </Field>
      {error ? (
        <Problem error={error} />
      ) : !safes ? (
        <Loading />
      ) : safes.length === 0 ? (
        <p className="text-sm text-muted">{t(q ? "ui.nothingFits" : "terminal.noSafes")}</p>
      ) : (
        <ul className="max-h-80 divide-y divide-line overflow-y-auto">
          {safes.map((s) => (
            <li key={s.id}>
              <button type="button" onClick={() => onPick({ safe: s.id })} className="name w-full rounded px-2 py-2.5 text-left text-sm -outline-offset-2 hover:bg-sunken">
                {s.name}
              </button>
            </li>
          ))}
        </ul>
      )}
    </Dialog>
  );
}
