import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { create, type Player } from "asciinema-player";
import "asciinema-player/dist/bundle/asciinema-player.css";
import { ChevronLeft, Download, ShieldAlert, ShieldCheck } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok } from "../api/client";
import { clock, exact } from "../format";
import { Button } from "../ui/button";
import { Alert, Badge, Loading, Problem } from "../ui/feedback";
import { control } from "../ui/field";
import { textLink } from "../ui/link";
import { download, load, type Loaded, type Progress } from "./load";

export function RecordingPage({ id }: { id: string }) {
  const { t } = useTranslation();
  const [progress, setProgress] = useState<Progress>();
  const [failed, setFailed] = useState<unknown>();
  // Who comes straight from a session is here before its seal. What is shown
  // stays until the end has come.
  const recording = useQuery({
    queryKey: ["recordings", id],
    queryFn: () => ok(api.GET("/api/v1/recordings/{id}", { params: { path: { id } } })),
    refetchInterval: (q) => (q.state.data?.status === "in_progress" ? 2_000 : false),
  });
  const ended = recording.data && recording.data.status !== "in_progress";
  const loaded = useQuery({
    queryKey: ["recordings", id, "loaded", ended],
    enabled: ended !== undefined,
    queryFn: ({ signal }) => load(id, setProgress, signal),
    placeholderData: keepPreviousData,
    staleTime: Infinity,
    retry: false,
  });

  const r = recording.data;
  const title = r?.user_email ? t("sessions.of", { user: r.user_email, safe: r.safe_name || r.safe_id }) : t("player.title");
  useEffect(() => {
    document.title = `${title} · VaultPAM`;
  }, [title]);
  return (
    <main id="main" className="mx-auto flex min-h-dvh max-w-[110rem] flex-col gap-4 p-4">
      <header className="flex flex-wrap items-center justify-between gap-3">
        <div className="min-w-0">
          <p className="text-sm">
            <a href="/recordings" className="-ml-1 inline-flex min-h-[24px] items-center gap-0.5 text-muted underline-offset-4 hover:text-text hover:underline">
              <ChevronLeft aria-hidden className="size-4" />
              {t("player.back")}
            </a>
          </p>
          <h1 className="name text-xl font-semibold">{title}</h1>
          {r && (
            <p className="name text-sm text-muted">
              {r.account_name && `${r.account_name} ${t("safes.at")} ${r.resource_name} · `}
              {exact(r.started_at)} ·{" "}
              <a href={`/sessions/${r.session_id}`} className={textLink}>
                {t("player.session")}
              </a>
            </p>
          )}
        </div>
        <div className="flex flex-wrap items-center gap-3">
          <Verified loaded={loaded.data} progress={progress} />
          <Button onClick={() => void download(id).catch(setFailed)}>
            <Download aria-hidden className="size-4" />
            {t("player.download")}
          </Button>
        </div>
      </header>
      <Problem error={recording.error ?? failed} />
      {loaded.error ? <Problem error={loaded.error} retry={() => void loaded.refetch()} /> : recording.error && !loaded.data ? null : !loaded.data ? <Loading /> : <Screen loaded={loaded.data} />}
    </main>
  );
}

/** Up to which second the content was checked, by this page. */
function Verified({ loaded, progress }: { loaded?: Loaded; progress?: Progress }) {
  const { t } = useTranslation();
  const until = clock((loaded?.verifiedUntil ?? progress?.verifiedUntil ?? 0) / 1000);
  if (!loaded) return <Badge>{t("player.verifying", { until, percent: progress ? Math.round((100 * progress.chunks) / Math.max(1, progress.of)) : 0 })}</Badge>;
  if (loaded.problem) {
    return (
      <Badge tone="danger">
        <ShieldAlert aria-hidden className="size-3.5" />
        {t("player.verifiedOnly", { until })}
      </Badge>
    );
  }
  return (
    <Badge tone={loaded.sealed ? "good" : "info"}>
      <ShieldCheck aria-hidden className="size-3.5" />
      {t(loaded.sealed ? "player.verified" : "player.verifiedSoFar", { until })}
    </Badge>
  );
}

const speeds = [0.5, 1, 2, 4, 8];
const idle = 2; // seconds that remain of a pause that is skipped

function Screen({ loaded }: { loaded: Loaded }) {
  const { t } = useTranslation();
  const box = useRef<HTMLDivElement>(null);
  const player = useRef<Player>(null);
  const [speed, setSpeed] = useState(1);
  const [skip, setSkip] = useState(true);

  useEffect(() => {
    const at = player.current?.getCurrentTime() ?? 0;
    const p = create(
      { data: [], parser: () => ({ cols: loaded.cols, rows: loaded.rows, events: loaded.events, ...(skip && { idleTimeLimit: idle }) }) },
      box.current!,
      { fit: "both", controls: true, preload: true, speed, startAt: at, poster: "npt:0:01", theme: "asciinema", terminalFontFamily: "var(--font-mono), monospace" },
    );
    player.current = p;
    return () => p.dispose();
  }, [loaded, speed, skip]);

  const seek = (micros: number) => void player.current?.seek((skip ? compress(loaded, micros / 1e3, idle * 1000) : micros / 1e3) / 1000);
  return (
    <div className="grid min-h-0 flex-1 gap-4 lg:grid-cols-[minmax(0,1fr)_26rem]">
      <section aria-label={t("player.screen")} className="min-w-0 space-y-3">
        {loaded.problem && (
          <Alert tone="danger" title={t("player.tampered")}>
            {loaded.problem}
          </Alert>
        )}
        {loaded.recovered && <Alert tone="warn">{t("player.recovered")}</Alert>}
        <div ref={box} className="h-[40dvh] min-h-64 sm:h-[65dvh] overflow-hidden rounded-lg" />
        <div className="flex flex-wrap items-center gap-x-6 gap-y-2 text-sm">
          <label className="flex items-center gap-2">
            {t("player.speed")}
            <select value={speed} onChange={(e) => setSpeed(Number(e.target.value))} className={`min-h-9 px-2 ${control}`}>
              {speeds.map((s) => (
                <option key={s} value={s}>
                  {s} ×
                </option>
              ))}
            </select>
          </label>
          <label className="flex items-center gap-2">
            <input type="checkbox" checked={skip} onChange={(e) => setSkip(e.target.checked)} className="size-4 accent-accent" />
            {t("player.skip")}
          </label>
        </div>
      </section>
      <TranscriptPane loaded={loaded} seek={seek} />
    </div>
  );
}

/** Where a moment is once pauses are cut to limit, as the player does; all in
 * milliseconds. */
function compress(loaded: Loaded, time: number, limit: number): number {
  let cut = 0;
  let prev = 0;
  for (const [at] of loaded.events) {
    if (at > time) return time - cut - Math.max(0, time - prev - limit);
    cut += Math.max(0, at - prev - limit);
    prev = at;
  }
  return Math.min(time, prev) - cut;
}

const rowHeight = 22;

/** The lines, of which only those in sight are rendered. */
function TranscriptPane({ loaded, seek }: { loaded: Loaded; seek: (micros: number) => void }) {
  const { t } = useTranslation();
  const [q, setQ] = useState("");
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  const box = useRef<HTMLDivElement>(null);
  const hits = useMemo(() => {
    const wanted = q.toLowerCase();
    return wanted ? loaded.lines.filter((l) => l.text.toLowerCase().includes(wanted)) : loaded.lines.filter((l) => l.text);
  }, [loaded, q]);
  useEffect(() => {
    const o = new ResizeObserver(([e]) => setHeight(e!.contentRect.height));
    o.observe(box.current!);
    return () => o.disconnect();
  }, []);
  const first = Math.max(0, Math.floor(top / rowHeight) - 10);
  const shown = hits.slice(first, first + Math.ceil(height / rowHeight) + 20);
  return (
    <section aria-label={t("player.transcript")} className="flex max-h-[75dvh] min-h-64 min-w-0 flex-col gap-2">
      <label className="block">
        <span className="sr-only">{t("player.searchTranscript")}</span>
        <input
          type="search"
          value={q}
          onChange={(e) => {
            setQ(e.target.value);
            setTop(0);
            box.current?.scrollTo(0, 0);
          }}
          placeholder={t("player.searchTranscript")}
          className={`block min-h-9 w-full px-3 ${control}`}
        />
      </label>
      <p role="status" className="text-xs text-muted">
        {t("player.lines", { count: hits.length })}
      </p>
      <div ref={box} onScroll={(e) => setTop(e.currentTarget.scrollTop)} tabIndex={0} role="group" aria-label={t("player.lines", { count: hits.length })} className="min-h-0 flex-1 overflow-auto rounded-lg border border-line bg-surface">
        <div style={{ height: hits.length * rowHeight, position: "relative" }}>
          {shown.map((l, i) => (
            <button key={first + i} type="button" onClick={() => seek(l.at)} style={{ position: "absolute", top: (first + i) * rowHeight, height: rowHeight }} className="flex w-full gap-3 overflow-hidden px-3 text-left font-mono text-xs leading-[22px] whitespace-pre hover:bg-sunken">
              <span className="shrink-0 text-muted tabular-nums">{clock(l.at / 1000)}</span>
              <bdi className="min-w-0 truncate">{l.text}</bdi>
            </button>
          ))}
        </div>
      </div>
    </section>
  );
}
