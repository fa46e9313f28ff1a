import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useId, useMemo, useState, type KeyboardEvent } from "react";
import { useTranslation } from "react-i18next";
import { api, ok } from "../api/client";
import { useWho } from "../api/session";
import { entries } from "../router";
import { Dialog } from "../ui/dialog";
import { control } from "../ui/field";

const opening = new EventTarget();
export const openPalette = () => opening.dispatchEvent(new Event("open"));

/** Goes anywhere by typing: Ctrl K, or ⌘K. */
export function Palette() {
  const [open, setOpen] = useState(false);
  useEffect(() => {
    const show = () => setOpen(true);
    const key = (e: globalThis.KeyboardEvent) => {
      if (e.key.toLowerCase() === "k" && (e.ctrlKey || e.metaKey)) {
        e.preventDefault();
        setOpen((o) => !o);
      }
    };
    opening.addEventListener("open", show);
    addEventListener("keydown", key);
    return () => {
      opening.removeEventListener("open", show);
      removeEventListener("keydown", key);
    };
  }, []);
  return open ? <Finder onClose={() => setOpen(false)} /> : null;
}

interface Hit {
  to: string;
  text: string;
  kind: string;
}

function Finder({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const who = useWho();
  const navigate = useNavigate();
  const id = useId();
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const q = text.trim();
  const { data: found } = useQuery({
    queryKey: ["palette", q],
    enabled: q.length > 0,
    queryFn: async (): Promise<Hit[]> => {
      const query = { q, limit: 6 };
      const [safes, resources] = await Promise.all([ok(api.GET("/api/v1/safes", { params: { query } })), ok(api.GET("/api/v1/resources", { params: { query } }))]);
      return [
        ...safes.map((s) => ({ to: `/safes/${s.id}`, text: s.name, kind: t("shell.palette.safe") })),
        ...resources.map((r) => ({ to: `/resources/${r.id}`, text: r.name, kind: t("shell.palette.resource") })),
      ];
    },
  });
  const hits = useMemo<Hit[]>(() => {
    const named = entries(who).map((p) => ({ to: p.path, text: t(p.nav.label), kind: t("shell.palette.page") }));
    return [...named.filter((h) => h.text.toLowerCase().includes(q.toLowerCase())), ...(q ? (found ?? []) : [])];
  }, [found, q, t, who]);
  const chosen = Math.min(at, hits.length - 1);

  function go(hit?: Hit) {
    if (!hit) return;
    onClose();
    void navigate({ to: hit.to as never });
  }
  function key(e: KeyboardEvent) {
    if (e.key === "ArrowDown") setAt(Math.min(chosen + 1, hits.length - 1));
    else if (e.key === "ArrowUp") setAt(Math.max(chosen - 1, 0));
    else if (e.key === "Enter") go(hits[chosen]);
    else return;
    e.preventDefault();
  }

  return (
    <Dialog title={t("shell.jump")} onClose={onClose}>
      <input
        role="combobox"
        aria-expanded
        aria-controls={id}
        aria-activedescendant={hits[chosen] ? `${id}-${chosen}` : undefined}
        aria-label={t("shell.jump")}
        autoFocus
        value={text}
        onChange={(e) => {
          setText(e.target.value);
          setAt(0);
        }}
        onKeyDown={key}
        placeholder={t("shell.palette.hint")}
        className={`block min-h-10 w-full px-3 ${control}`}
      />
      <ul id={id} role="listbox" aria-label={t("shell.palette.results")} className="max-h-80 overflow-y-auto">
        {hits.map((h, i) => (
          <li key={h.to} id={`${id}-${i}`} role="option" aria-selected={i === chosen} onClick={() => go(h)} onMouseMove={() => setAt(i)} className={`flex cursor-pointer items-center justify-between gap-4 rounded px-3 py-2 text-sm ${i === chosen ? "bg-accent-soft text-accent-text" : ""}`}>
            <span className="name line-clamp-1">{h.text}</span>
            <span className="text-xs whitespace-nowrap">{h.kind}</span>
          </li>
        ))}
      </ul>
      <p role="status" className="text-sm text-muted">
        {hits.length === 0 ? t("shell.palette.none") : ""}
      </p>
    </Dialog>
  );
}
