import { useQuery, type UseQueryResult } from "@tanstack/react-query";
import { ArrowDown, ArrowUp, Search } from "lucide-react";
import { useEffect, useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useListState, type Page } from "../api/list";
import { Button } from "./button";
import { Loading, Problem } from "./feedback";
import { control } from "./field";
import { textLink } from "./link";

export interface Column<T> {
  label: string;
  cell: (row: T) => ReactNode;
  /** The field that the server sorts by. */
  sort?: string;
  /** Left out where the list is narrow: on a phone, or "most", on a tablet too. */
  wide?: boolean | "most";
  numeric?: boolean;
  /** Short and on one line: a time, a state, a word. */
  short?: boolean;
  /** What can be done with the row, at its end. Its label is for who hears it. */
  act?: boolean;
}

interface Props<T> {
  caption: string;
  query: UseQueryResult<Page<T>>;
  columns: Column<T>[];
  rowKey: (row: T) => string;
  empty: ReactNode;
  /** Shown when filters leave nothing. */
  none?: ReactNode;
}

const from = { never: "", true: "hidden @xl:table-cell", most: "hidden @4xl:table-cell" };
const shownFrom = <T,>(c: Column<T>) => from[c.wide === "most" ? "most" : c.wide ? "true" : "never"];

/** A list of the server's, page by page. What it shows stands in the URL. */
export function DataTable<T>({ caption, query, columns, rowKey, empty, none }: Props<T>) {
  const { t } = useTranslation();
  const [state, set] = useListState();
  const { data, error, isPending, isPlaceholderData } = query;
  if (isPending) return <Loading />;
  if (error && !data) return <Problem error={error} retry={() => void query.refetch()} />;
  const filtered = Object.keys(state).some((k) => k !== "sort");
  return (
    <>
      {error && <Problem error={error} retry={() => void query.refetch()} />}
      {data!.rows.length === 0 ? (
        filtered ? (
          (none ?? (
            <p className="rounded-lg border border-line bg-surface p-8 text-center text-sm text-muted">
              {t("ui.nothingFits")}{" "}
              <button type="button" className={textLink} onClick={() => set(Object.fromEntries(Object.keys(state).map((k) => [k, undefined])))}>
                {t("ui.clearFilters")}
              </button>
            </p>
          ))
        ) : (
          empty
        )
      ) : (
        <div className={`@container relative overflow-x-auto rounded-lg border border-line bg-surface ${isPlaceholderData ? "opacity-60" : ""}`} tabIndex={0} role="region" aria-label={caption}>
          <table className="w-full text-left text-sm">
            <caption className="sr-only">{caption}</caption>
            <thead className="border-b border-line text-muted">
              <tr>
                {columns.map((c) => (
                  <th key={c.label} scope="col" aria-sort={!c.sort ? undefined : state.sort === c.sort ? "ascending" : state.sort === `-${c.sort}` ? "descending" : "none"} className={`px-4 py-2.5 font-medium whitespace-nowrap ${shownFrom(c)} ${c.numeric ? "text-right" : ""}`}>
                    {c.sort ? (
                      <button type="button" className="inline-flex min-h-[24px] items-center gap-1 hover:text-text" onClick={() => set({ sort: state.sort === c.sort ? `-${c.sort}` : c.sort })}>
                        {c.label}
                        {state.sort === c.sort && <ArrowUp aria-hidden className="size-3.5" />}
                        {state.sort === `-${c.sort}` && <ArrowDown aria-hidden className="size-3.5" />}
                      </button>
                    ) : c.act ? (
                      <span className="sr-only">{c.label}</span>
                    ) : (
                      c.label
                    )}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody className="divide-y divide-line">
              {data!.rows.map((row) => (
                <tr key={rowKey(row)} className="hover:bg-sunken/60">
                  {columns.map((c) => (
                    <td key={c.label} className={`px-4 align-middle ${c.act ? "w-px py-1 text-right" : "py-2.5"} ${shownFrom(c)} ${c.numeric ? "text-right tabular-nums" : ""}`}>
                      {c.act ? c.cell(row) : <div className={c.short || c.numeric ? "name whitespace-nowrap" : "name line-clamp-3 max-w-80 min-w-28 wrap-break-word [&_.name]:wrap-break-word"}>{c.cell(row)}</div>}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {(state.cursor || data!.next) && (
        <nav aria-label={t("ui.pages")} className="mt-4 flex justify-end gap-2">
          {state.cursor && <Button onClick={() => set({})}>{t("ui.firstPage")}</Button>}
          <Button disabled={!data!.next} onClick={() => set({ cursor: data!.next })}>
            {t("ui.nextPage")}
          </Button>
        </nav>
      )}
    </>
  );
}

/** Filters above a list. */
export function ListBar({ children, search = true }: { children?: ReactNode; search?: boolean }) {
  const { t } = useTranslation();
  const [state, set] = useListState();
  const [text, setText] = useState(state.q ?? "");
  useEffect(() => setText(state.q ?? ""), [state.q]);
  useEffect(() => {
    if (text === (state.q ?? "")) return;
    const id = setTimeout(() => set({ q: text }), 250);
    return () => clearTimeout(id);
  });
  return (
    <form role="search" className="mb-4 flex flex-wrap items-end gap-3" onSubmit={(e) => e.preventDefault()}>
      {search && (
        <label className="relative block w-full sm:w-72">
          <span className="sr-only">{t("ui.search")}</span>
          <Search aria-hidden className="pointer-events-none absolute top-2.5 left-3 size-4 text-faint" />
          <input type="search" value={text} onChange={(e) => setText(e.target.value)} placeholder={t("ui.search")} className={`block min-h-9 w-full py-1.5 pr-3 pl-9 ${control}`} />
        </label>
      )}
      {children}
    </form>
  );
}

/** One filter with a few values. */
export function Filter({ name, label, options }: { name: string; label: string; options: Record<string, string> }) {
  const { t } = useTranslation();
  const [state, set] = useListState();
  return (
    <label className="max-w-full block text-sm">
      <span className="sr-only">{label}</span>
      <select value={state[name] ?? ""} onChange={(e) => set({ [name]: e.target.value })} className={`block field-sizing-content min-h-9 max-w-60 px-3 py-1.5 text-ellipsis ${control}`}>
        <option value="">
          {label}: {t("ui.any")}
        </option>
        {Object.entries(options).map(([v, text]) => (
          <option key={v} value={v}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

/** A filter whose values the server knows. */
export function PickFilter({ name, label, load }: { name: string; label: string; load: () => Promise<[id: string, name: string][]> }) {
  const { data } = useQuery({ queryKey: ["pick", name], queryFn: load, staleTime: 60_000, retry: false });
  const [state] = useListState();
  const options = Object.fromEntries(data ?? []);
  // What is chosen stays to be seen, even when it is not in the list any more.
  if (state[name] && !options[state[name]]) options[state[name]] = state[name];
  return <Filter name={name} label={label} options={options} />;
}

/** A day, sent as the moment at which it begins (or, with end, is over) here. */
export function DateFilter({ name, label, end }: { name: string; label: string; end?: boolean }) {
  const [state, set] = useListState();
  const shift = end ? 86_400_000 : 0;
  const at = state[name] ? new Date(Date.parse(state[name]) - shift) : undefined;
  const day = at ? [at.getFullYear(), at.getMonth() + 1, at.getDate()].map((n) => String(n).padStart(2, "0")).join("-") : "";
  return (
    <label className="flex items-center gap-2 text-sm text-muted">
      {label}
      <input
        type="date"
        value={day}
        onChange={(e) => set({ [name]: e.target.value ? new Date(Date.parse(`${e.target.value}T00:00:00`) + shift).toISOString() : undefined })}
        className={`min-h-9 px-2 ${control}`}
      />
    </label>
  );
}
