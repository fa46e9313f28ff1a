import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState, type FormEvent } from "react";
import { useTranslation } from "react-i18next";
import { useListState } from "../../api/list";
import { useWho } from "../../api/session";
import { bytes, count, exact } from "../../format";
import { Button } from "../../ui/button";
import { Dialog } from "../../ui/dialog";
import { Alert, Problem } from "../../ui/feedback";
import { Field, Select } from "../../ui/field";
import { Progress } from "../../ui/progress";
import { save } from "../../ui/save";
import { Broken, collect, openExport, type Format, type Progress as Arrived } from "./download";
import { useTerm } from "./names";
import { request } from "./query";
import { serverOf } from "./server";

/** Fetches the log as a file, and shows how far it is. */
export function ExportDialog({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const [state] = useListState();
  const who = useWho();
  const term = useTerm();
  const [format, setFormat] = useState<Format>("ndjson");
  const [span, setSpan] = useState<"shown" | "all">(state.from || state.to || state.span ? "shown" : "all");
  const [progress, setProgress] = useState<Arrived>();
  const [error, setError] = useState<unknown>();
  const [saved, setSaved] = useState<Arrived>();
  const running = useRef<AbortController>(null);
  useEffect(() => () => running.current?.abort(), []);

  const instance = state.instance === "true";
  const { from, to } = request(state) as { from?: string; to?: string };
  // How many lines a whole log has, and so how far its export is.
  const { data: size } = useQuery({ queryKey: ["audit", "size", instance], queryFn: async () => (await serverOf(instance).checkpoint()) as { tree_size?: number }, retry: false });
  const whole = span === "all" ? size?.tree_size : undefined;
  const timed = !!(from || to);

  async function submit(e: FormEvent): Promise<void> {
    e.preventDefault();
    const stop = new AbortController();
    running.current = stop;
    setError(undefined);
    setSaved(undefined);
    setProgress({ bytes: 0, lines: 0 });
    let seen: Arrived = { bytes: 0, lines: 0 };
    const tell = atMostEvery(100, (p: Arrived) => setProgress(p));
    try {
      const stream = await openExport({ format, ...(instance && { instance }), ...(span === "shown" && { from, to }) }, stop.signal);
      const file = await collect(stream, format, (p) => {
        seen = p;
        tell(p);
      });
      save(file, `audit-${instance ? "instance" : (who.memberships.find((m) => m.org_id === who.org)?.slug ?? who.org)}-${new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, "")}.${format}`);
      setSaved(seen);
    } catch (err) {
      if (!stop.signal.aborted) setError(err);
    } finally {
      running.current = null;
      setProgress(undefined);
    }
  }

  return (
    <Dialog title={t("audit.exportTitle")} onClose={onClose}>
      <form onSubmit={(e) => void submit(e)} className="space-y-4">
        <p className="text-sm text-muted">{t("audit.exportLead")}</p>
        <Field label={t("audit.format")} hint={t(`audit.formatHints.${format}`)}>
          <Select value={format} disabled={!!progress} onChange={(e) => setFormat(e.target.value as Format)}>
            <option value="ndjson">NDJSON</option>
            <option value="csv">CSV</option>
          </Select>
        </Field>
        {timed && (
          <Field label={t("audit.time")} hint={t("audit.exportFilters")}>
            <Select value={span} disabled={!!progress} onChange={(e) => setSpan(e.target.value as "shown" | "all")}>
              <option value="shown">{state.span ? term("spans", state.span) : [from && exact(from), to && exact(to)].map((x) => x || "…").join(" – ")}</option>
              <option value="all">{t("audit.spans.any")}</option>
            </Select>
          </Field>
        )}
        {progress && (
          <div className="space-y-1.5" role="status">
            <Progress label={t("audit.exporting")} value={progress.lines} max={whole} />
            <p className="text-sm text-muted tabular-nums">{t("audit.exported", { bytes: bytes(progress.bytes), lines: count(progress.lines) })}</p>
          </div>
        )}
        {saved && <Alert tone="good">{t("audit.exportDone", { bytes: bytes(saved.bytes) })}</Alert>}
        {error instanceof Broken ? <Alert tone="danger">{t("audit.exportBroken")}</Alert> : <Problem error={error} />}
        <div className="flex flex-wrap justify-end gap-2">
          {progress ? <Button onClick={() => running.current?.abort()}>{t("ui.cancel")}</Button> : <Button onClick={onClose}>{t("ui.close")}</Button>}
          <Button type="submit" kind="primary" busy={!!progress}>
            {t("audit.export")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

/** Calls fn at most once in so many milliseconds. */
export function atMostEvery<T>(ms: number, fn: (v: T) => void): (v: T) => void {
  let last = -Infinity;
  return (v) => {
    const now = performance.now();
    if (now - last < ms) return;
    last = now;
    fn(v);
  };
}
