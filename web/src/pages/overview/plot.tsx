import { useNavigate } from "@tanstack/react-router";
import { useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { count, locale } from "../../format";
import { A } from "../../ui/link";
import { labelled, largest, top, total, until, type Count, type Width } from "./scale";

const height = 120;

interface Props {
  title: string;
  rows: Count[];
  width: Width;
  colour: "fill-plot-1" | "fill-plot-2" | "fill-plot-3";
  /** What a step leads to. */
  to: (from: string, to: string) => { to: string; search: Record<string, string> };
  /** Said where there is nothing to plot. */
  none: string;
  asTable: boolean;
  compact?: boolean;
}

/** Days are those of UTC, as the server counts them. */
function stamp(row: Count, width: Width, long: boolean): string {
  const day = { weekday: long ? "short" : undefined, day: "numeric", month: "short" } as const;
  return new Intl.DateTimeFormat(locale(), width === "day" ? { ...day, timeZone: "UTC" } : { ...(long && day), hour: "numeric", minute: "2-digit" }).format(new Date(row.from));
}

/** Bars over time. Who does not look at them gets the same as a table, and so
 * does who prefers numbers. */
export function Plot({ title, rows, width, colour, to, none, asTable, compact }: Props) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const id = useId();
  const [at, setAt] = useState<number>();
  const sum = total(rows);
  const max = top(largest(rows));
  const n = Math.max(1, rows.length);
  const percent = (i: number) => `${(100 * i) / n}%`;
  const span = t(`overview.last.${width}`);
  const active = at === undefined ? undefined : rows[at];
  const peak = rows.find((r) => r.count === largest(rows));
  const go = (r: Count) => {
    const target = to(r.from, until(r, width));
    void navigate({ to: target.to as never, search: target.search as never });
  };
  return (
    <figure aria-labelledby={id} className="min-w-0">
      <figcaption className="mb-3">
        <h3 id={id} className="text-sm font-medium text-muted">
          {title}
        </h3>
        <p className="flex flex-wrap items-baseline gap-x-2">
          <span className={`font-semibold tracking-tight tabular-nums ${compact ? "text-xl" : "text-2xl"}`}>{count(active ? active.count : sum)}</span>
          <span className="text-sm text-muted">{active ? `${stamp(active, width, true)}${at === rows.length - 1 ? `, ${t("overview.soFar")}` : ""}` : span}</span>
        </p>
      </figcaption>
      {asTable ? (
        <Numbers title={title} rows={rows} width={width} to={to} />
      ) : (
        <>
          <div className="flex gap-2" aria-hidden>
            <div className="relative w-7 shrink-0 text-right text-xs text-muted tabular-nums" style={{ height }}>
              {sum > 0 &&
                [max, max / 2, 0].map((v) => (
                  <span key={v} className="absolute right-0 -translate-y-1/2 leading-none" style={{ top: height - (v / max) * height }}>
                    {count(v)}
                  </span>
                ))}
            </div>
            <div className="relative min-w-0 flex-1">
              <svg width="100%" height={height} className="block overflow-visible" onPointerLeave={() => setAt(undefined)}>
                {[0, 0.5, 1].map((y) => (
                  <line key={y} x1="0" x2="100%" y1={y * height} y2={y * height} className={y === 1 ? "stroke-line-strong" : "stroke-line"} />
                ))}
                {rows.map((r, i) => {
                  const h = r.count === 0 ? 0 : Math.max(2, (r.count / max) * height);
                  return (
                    <g
                      key={r.from}
                      onPointerMove={() => setAt(i)}
                      onClick={(e) => {
                        // A first touch shows the number, a second goes there.
                        if ((e.nativeEvent as PointerEvent).pointerType === "mouse" || at === i) go(r);
                        else setAt(i);
                      }}
                      className="cursor-pointer"
                    >
                      <rect x={percent(i)} width={percent(1)} y="0" height={height} className={at === i ? "fill-sunken" : "fill-transparent"} />
                      {/* What is under way is pale, on a ground that hides the lines. */}
                      {i === rows.length - 1 && <rect x={percent(i + 0.14)} width={percent(0.72)} y={height - h} height={h} rx="1.5" className="fill-surface" />}
                      <rect x={percent(i + 0.14)} width={percent(0.72)} y={height - h} height={h} rx="1.5" className={`${colour} ${i === rows.length - 1 ? "opacity-60" : ""}`} />
                    </g>
                  );
                })}
              </svg>
              {sum === 0 && <p className="pointer-events-none absolute inset-0 flex items-center justify-center text-sm text-muted">{none}</p>}
              <div className="relative mt-1.5 h-4 text-xs text-muted tabular-nums">
                {labelled(rows, width).map((i) => {
                  const last = i > n - 2; // stays within the plot
                  return (
                    <span key={i} className={`absolute top-0 whitespace-nowrap ${last ? "-translate-x-full" : "-translate-x-1/2"}`} style={{ left: percent(last ? n : i + 0.5) }}>
                      {stamp(rows[i]!, width, false)}
                    </span>
                  );
                })}
              </div>
            </div>
          </div>
          <p className="sr-only">{sum === 0 ? none : t("overview.summary", { total: count(sum), span, most: count(peak!.count), when: stamp(peak!, width, true) })}</p>
        </>
      )}
    </figure>
  );
}

function Numbers({ title, rows, width, to }: Pick<Props, "title" | "rows" | "width" | "to">) {
  const { t } = useTranslation();
  return (
    <div className="max-h-56 overflow-y-auto rounded-md border border-line" tabIndex={0} role="region" aria-label={title}>
      <table className="w-full text-sm">
        <caption className="sr-only">{title}</caption>
        <thead className="sr-only">
          <tr>
            <th scope="col">{t(`overview.${width}`)}</th>
            <th scope="col">{t("overview.number")}</th>
          </tr>
        </thead>
        <tbody className="divide-y divide-line">
          {rows.toReversed().map((r) => (
            <tr key={r.from}>
              <th scope="row" className="px-3 py-1 text-left font-normal text-muted">
                {stamp(r, width, true)}
              </th>
              <td className="px-3 py-1 text-right tabular-nums">{r.count > 0 ? <A {...to(r.from, until(r, width))}>{count(r.count)}</A> : 0}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
