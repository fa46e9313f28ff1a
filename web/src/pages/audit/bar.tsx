import { useQuery } from "@tanstack/react-query";
import { Search, X } from "lucide-react";
import { useEffect, useId, useRef, useState, type KeyboardEvent } from "react";
import { useTranslation } from "react-i18next";
import { useListState, type ListState } from "../../api/list";
import { useWho } from "../../api/session";
import { exact } from "../../format";
import { Button } from "../../ui/button";
import { control } from "../../ui/field";
import { useTitle } from "../../ui/title";
import { find, idOf, useName, useTerm } from "./names";
import { choices, filterKeys, keys, parse, spans, types, type Choice, type Key, type Problem } from "./query";

/** One box for every filter: what is typed is completed, what is chosen stands
 * as a chip, and all of it stands in the URL. */
export function QueryBar() {
  const { t } = useTranslation();
  const titled = useTitle();
  const id = useId();
  const [state, set] = useListState();
  const [text, setText] = useState("");
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(-1);
  const [problems, setProblems] = useState<Problem[]>([]);
  const box = useRef<HTMLInputElement>(null);

  const wanted = useLater(wantedName(text), 150);
  const { data: found } = useQuery({ queryKey: ["audit", "find", wanted], enabled: wanted.name.length > 1, staleTime: 30_000, retry: false, queryFn: ({ signal }) => find(wanted.name, wanted.who, signal) });
  const hits = choices(text, wanted.name.length > 1 && wantedName(text).name === wanted.name ? found : [], titled);
  const chosen = Math.min(at, hits.length - 1);
  const chips = [...filterKeys.filter((k) => state[keys[k]]), ...(state.q ? (["q"] as const) : [])];

  function put(change: ListState): void {
    set(change);
    setText("");
    setAt(-1);
    setProblems([]);
  }

  function take(c: Choice): void {
    if (c.complete) {
      setText(c.complete);
      setAt(-1);
    } else {
      put(c.set!);
      setOpen(false);
    }
    box.current?.focus();
  }

  async function submit(): Promise<void> {
    if (chosen >= 0) return take(hits[chosen]!);
    if (!text.trim()) return;
    const parsed = parse(text);
    // A value that is not complete yet means the first that is proposed.
    if (hits.length > 0 && !hits[0]!.complete && (parsed.problems.length > 0 || Object.keys(parsed.names).length > 0) && /^\S+:("[^"]*"?|\S*)$/.test(text.trim())) return take(hits[0]!);
    const change = { ...parsed.set };
    const bad = [...parsed.problems];
    for (const [who, name] of Object.entries(parsed.names) as ["actor" | "target", string][]) {
      const got = await idOf(name, who).catch(() => undefined);
      if (got) change[keys[who]] = got;
      else bad.push({ kind: who === "actor" ? "nobody" : "nothing", value: name });
    }
    if (bad.length > 0) return setProblems(bad);
    if (change.from || change.to) change.span = "";
    put(change);
    setOpen(false);
  }

  function key(e: KeyboardEvent): void {
    if (e.key === "ArrowDown" && !open) setOpen(true);
    else if (e.key === "ArrowDown") setAt(chosen + 1 < hits.length ? chosen + 1 : 0);
    else if (e.key === "ArrowUp") setAt(chosen > 0 ? chosen - 1 : hits.length - 1);
    else if (e.key === "Escape" && open) setOpen(false);
    else if (e.key === "Enter") void submit();
    else if (e.key === "Backspace" && !text && chips.length > 0) return set({ [chips.at(-1) === "q" ? "q" : keys[chips.at(-1) as Key]]: undefined });
    else return;
    e.preventDefault();
  }

  const shown = open && hits.length > 0;
  return (
    <div className="mb-4 space-y-3">
      <div role="search" className="relative">
        <div
          className="flex min-h-10 flex-wrap items-center gap-1.5 rounded-md border border-line-strong bg-surface py-1 pr-1.5 pl-3 has-[input:focus-visible]:outline-2 has-[input:focus-visible]:outline-offset-2 has-[input:focus-visible]:outline-[var(--focus)]"
          onMouseDown={(e) => {
            if (e.target === e.currentTarget) {
              e.preventDefault();
              box.current?.focus();
            }
          }}
        >
          <Search aria-hidden className="size-4 shrink-0 text-faint" />
          {chips.map((k) => (
            <Chip key={k} name={k} value={state[k === "q" ? "q" : keys[k]]!} remove={() => set({ [k === "q" ? "q" : keys[k]]: undefined })} />
          ))}
          <input
            ref={box}
            role="combobox"
            aria-expanded={shown}
            aria-controls={`${id}-list`}
            aria-activedescendant={shown && chosen >= 0 ? `${id}-${chosen}` : undefined}
            aria-autocomplete="list"
            aria-label={t("audit.query")}
            aria-describedby={problems.length > 0 ? `${id}-problems` : undefined}
            aria-invalid={problems.length > 0 || undefined}
            value={text}
            placeholder={chips.length > 0 ? t("audit.queryMore") : t("audit.queryHint")}
            autoComplete="off"
            autoCapitalize="off"
            spellCheck={false}
            onChange={(e) => {
              setText(e.target.value);
              setOpen(true);
              setAt(-1);
              setProblems([]);
            }}
            onFocus={() => setOpen(true)}
            onBlur={() => setOpen(false)}
            onKeyDown={key}
            className="min-h-7 min-w-40 flex-1 bg-transparent text-sm outline-none placeholder:text-faint"
          />
          {chips.length > 0 && (
            <button type="button" onClick={() => set(Object.fromEntries(["q", ...Object.values(keys), "span"].map((k) => [k, undefined])))} className="rounded px-2 py-1 text-sm text-accent-text hover:bg-sunken">
              {t("audit.clear")}
            </button>
          )}
        </div>
        <ul id={`${id}-list`} role="listbox" aria-label={t("audit.proposals")} hidden={!shown} className="absolute inset-x-0 top-full z-20 mt-1.5 max-h-96 overflow-y-auto rounded-md border border-line-strong bg-raised p-1 text-sm shadow-lg">
          {hits.map((c, i) => (
            <li
              key={`${c.key} ${c.label} ${c.kind ?? c.detail ?? ""}`}
              id={`${id}-${i}`}
              role="option"
              aria-selected={i === chosen}
              onMouseDown={(e) => {
                e.preventDefault();
                take(c);
              }}
              onMouseMove={() => setAt(i)}
              className={`flex cursor-pointer items-baseline gap-3 rounded px-3 py-1.5 ${i === chosen ? "bg-accent-soft text-accent-text" : ""}`}
            >
              <Proposal choice={c} />
            </li>
          ))}
        </ul>
      </div>
      {problems.length > 0 && (
        <ul id={`${id}-problems`} role="alert" className="name text-sm text-danger-text">
          {problems.map((p) => (
            <li key={p.kind + p.value}>{t(`audit.problems.${p.kind}`, { value: p.value })}</li>
          ))}
        </ul>
      )}
      <div className="flex flex-wrap items-center gap-3">
        <SpanPicker />
        <LogPicker />
      </div>
    </div>
  );
}

function Proposal({ choice: c }: { choice: Choice }) {
  const { t } = useTranslation();
  const term = useTerm();
  if (c.complete) {
    return (
      <>
        <code className="w-24 shrink-0 font-mono text-accent-text">{c.complete}</code>
        <span className="text-muted">{t(`audit.keyHints.${c.key}`)}</span>
      </>
    );
  }
  return (
    <>
      <span className="w-24 shrink-0 text-muted">{t(c.key ? `audit.keys.${c.key}` : "audit.keys.q")}</span>
      <span className="name line-clamp-1 min-w-0">{c.key === "category" ? term("categories", c.label) : c.label}</span>
      {(c.kind || c.detail) && <span className="name ml-auto line-clamp-1 max-w-[50%] text-right text-xs text-muted">{c.kind ? term("things", c.kind) : c.detail}</span>}
    </>
  );
}

function Chip({ name, value, remove }: { name: Key | "q"; value: string; remove: () => void }) {
  const { t } = useTranslation();
  const term = useTerm();
  const titled = useTitle();
  const type = types.find((x) => x.type === value);
  const id = useName(name === "actor" || name === "target" ? value : undefined);
  const shown = name === "type" ? (type ? titled(type) : value) : name === "category" ? term("categories", value) : id || value;
  const label = t(`audit.keys.${name}`);
  return (
    <button type="button" onClick={remove} aria-label={t("audit.removeFilter", { filter: `${label}: ${shown}` })} className="inline-flex max-w-full items-center gap-1.5 rounded border border-line bg-sunken py-0.5 pr-1.5 pl-2 text-sm hover:border-line-strong">
      <span className="text-muted">{label}</span>
      <span className="name line-clamp-1 text-left font-medium">{shown}</span>
      <X aria-hidden className="size-3.5 shrink-0 text-muted" />
    </button>
  );
}

/** The time: so long back from now, or from one moment to another. */
function SpanPicker() {
  const { t } = useTranslation();
  const [state, set] = useListState();
  const own = !!state.from || !!state.to;
  return (
    <>
      <label className="block text-sm">
        <span className="sr-only">{t("audit.time")}</span>
        <select
          value={own ? "own" : (state.span ?? "")}
          onChange={(e) => {
            if (e.target.value !== "own") return set({ span: e.target.value, from: undefined, to: undefined });
            const minute = Math.floor(Date.now() / 60_000) * 60_000;
            set({ span: undefined, from: new Date(minute - (spans[state.span as keyof typeof spans] ?? spans["24h"])).toISOString() });
          }}
          className={`block min-h-9 px-3 py-1.5 ${control}`}
        >
          <option value="">{t("audit.spans.any")}</option>
          {Object.keys(spans).map((s) => (
            <option key={s} value={s}>
              {t(`audit.spans.${s}`)}
            </option>
          ))}
          <option value="own">{t("audit.spans.own")}</option>
        </select>
      </label>
      {own && (
        <>
          <Moment name="from" />
          <Moment name="to" />
        </>
      )}
    </>
  );
}

function Moment({ name }: { name: "from" | "to" }) {
  const { t } = useTranslation();
  const [state, set] = useListState();
  const at = state[name] ? new Date(state[name]) : undefined;
  const two = (n: number) => String(n).padStart(2, "0");
  const value = at && !Number.isNaN(at.getTime()) ? `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}` : "";
  return (
    <label className="flex items-center gap-2 text-sm text-muted">
      {t(`audit.${name}`)}
      <input
        type="datetime-local"
        value={value}
        title={at && value ? exact(at.toISOString()) : undefined}
        onChange={(e) => set({ [name]: e.target.value ? new Date(e.target.value).toISOString() : undefined })}
        className={`min-h-9 max-w-full px-2 ${control}`}
      />
    </label>
  );
}

/** The instance has a log of its own, for its administrators. */
function LogPicker() {
  const { t } = useTranslation();
  const [state, set] = useListState();
  const who = useWho();
  if (!who.me.instance_admin) return null;
  return (
    <div role="group" aria-label={t("audit.log")} className="flex gap-1 rounded-md bg-sunken">
      {["", "true"].map((v) => (
        <Button key={v} kind={(state.instance ?? "") === v ? "secondary" : "quiet"} aria-pressed={(state.instance ?? "") === v} onClick={() => set({ ...cleared, instance: v })}>
          {t(v ? "audit.instanceLog" : "audit.orgLog")}
        </Button>
      ))}
    </div>
  );
}

// What is named in one log says nothing in the other.
const cleared = { actor_id: undefined, target_id: undefined };

function wantedName(text: string): { name: string; who: "actor" | "target" | "any" } {
  const m = /^(actor|target):"?([^"]*)"?$/i.exec(text.trim());
  if (m) return { who: m[1]!.toLowerCase() as "actor" | "target", name: m[2]!.trim() };
  return { who: "any", name: text.includes(":") ? "" : text.trim() };
}

/** The value once it has stayed the same for so long. */
function useLater<T>(value: T, ms: number): T {
  const [later, setLater] = useState(value);
  const text = JSON.stringify(value);
  useEffect(() => {
    const id = setTimeout(() => setLater(JSON.parse(text) as T), ms);
    return () => clearTimeout(id);
  }, [text, ms]);
  return later;
}
