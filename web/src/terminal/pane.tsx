import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import "@xterm/xterm/css/xterm.css";
import { Circle, CircleCheck, CircleX, LoaderCircle } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ApiError, ok } from "../api/client";
import { clock } from "../format";
import { Button, CopyButton } from "../ui/button";
import { Alert, Problem } from "../ui/feedback";
import { textLink } from "../ui/link";
import { EmergencyMark } from "../pages/checkouts/state";
import { Connection, type End, type Ready } from "./connection";
import type { Want } from "./workspace";

type State = { step: "launch" | "connect" | "live"; command?: string; ready?: Ready; error?: unknown; end?: End };

interface Props {
  want: Want;
  seen: boolean;
  onTitle: (title: string) => void;
  onOpen: (open: boolean) => void;
}

const small = "!min-h-7 !px-2 !py-0.5 !text-xs";

/** One terminal: launch, connection, screen, and what is to be known of it. */
export function Pane({ want, seen, onTitle, onOpen }: Props) {
  const { t } = useTranslation();
  const box = useRef<HTMLDivElement>(null);
  const terminal = useRef<Terminal>(undefined);
  const connection = useRef<Connection>(undefined);
  const [attempt, setAttempt] = useState(0);
  const [state, setState] = useState<State>({ step: "launch" });
  const [notice, setNotice] = useState("");
  const way = useRef<HTMLButtonElement>(null); // out of the terminal, for who has no mouse

  useEffect(() => {
    let gone = false;
    const update = (s: Partial<State>) => !gone && setState((old) => ({ ...old, ...s }));
    const term = new Terminal({
      fontFamily: getComputedStyle(document.documentElement).getPropertyValue("--font-mono") || "monospace",
      fontSize: 14,
      lineHeight: 1.2, // less cuts off underscores and the tails of letters
      scrollback: 5000,
      cursorBlink: true,
      // What a target shows may look like a link; it never is one here.
      linkHandler: { activate: () => {} },
      theme: { background: "#0b1015", foreground: "#e6ebf0", cursor: "#2dd4bf", selectionBackground: "#2b5d58" },
    });
    const fit = new FitAddon();
    term.loadAddon(fit);
    term.open(box.current!);
    terminal.current = term;
    const observer = new ResizeObserver(() => box.current?.offsetWidth && fit.fit());
    observer.observe(box.current!);
    // Every other key is the target's, Tab included.
    term.attachCustomKeyEventHandler((e) => {
      if (e.key !== "F6" || !e.ctrlKey) return true;
      if (e.type === "keydown") way.current?.focus();
      return false;
    });
    let clipboard: Ready["clipboard"] = "audited";
    // In the capture phase, before the terminal's own listeners.
    const paste = (e: ClipboardEvent) => {
      if (clipboard !== "blocked") return;
      e.preventDefault();
      e.stopPropagation();
      setNotice(t("terminal.pasteBlocked"));
    };
    const copy = (e: ClipboardEvent) => {
      if (clipboard === "blocked") {
        e.preventDefault();
        e.stopPropagation();
        setNotice(t("terminal.copyBlocked"));
      } else {
        connection.current?.copied(new TextEncoder().encode(term.getSelection()).length);
      }
    };
    const el = box.current!;
    el.addEventListener("paste", paste, true);
    el.addEventListener("copy", copy, true);

    async function run() {
      const target = { safe_id: want.safe, resource_id: want.resource, account_id: want.account, ...(want.emergency && { emergency: true, reason: want.reason }) };
      const safe = await ok(api.GET("/api/v1/safes/{id}", { params: { path: { id: want.safe } } }));
      onTitle(safe.name);
      const launch = await ok(api.POST("/api/v1/sessions", { body: target }));
      if (gone) return;
      update({ step: "connect", command: launch.command });
      if (!launch.terminal_url || !launch.terminal_ticket) throw new ApiError(0, "UNAVAILABLE", t("terminal.noBrowser"));
      fit.fit();
      const c = new Connection(launch.terminal_url, launch.terminal_ticket, { cols: term.cols, rows: term.rows }, {
        output: (data, shown) => term.write(data, shown),
        ready: (ready) => {
          clipboard = ready.clipboard;
          update({ step: "live", ready });
          onOpen(true);
          term.focus();
        },
        warning: setNotice,
        refused: setNotice,
        end: (end) => {
          update({ end });
          onOpen(false);
        },
      });
      connection.current = c;
      term.onData((text) => c.type(text));
      term.onBinary((text) => c.type(Uint8Array.from(text, (x) => x.charCodeAt(0))));
      term.onResize(({ cols, rows }) => c.resize(cols, rows));
    }
    run().catch((error: unknown) => update({ error }));
    return () => {
      gone = true;
      onOpen(false);
      connection.current?.close();
      observer.disconnect();
      el.removeEventListener("paste", paste, true);
      el.removeEventListener("copy", copy, true);
      term.dispose();
    };
    // The callbacks are new in each render; a session is not.
  }, [want, attempt]);

  useEffect(() => {
    if (seen) terminal.current?.focus();
  }, [seen]);
  useEffect(() => {
    if (!notice) return;
    const id = setTimeout(() => setNotice(""), 12_000);
    return () => clearTimeout(id);
  }, [notice]);

  const again = () => {
    setState({ step: "launch" });
    setAttempt((n) => n + 1);
  };
  const over = !!(state.end || state.error);
  useEffect(() => {
    if (over && seen) way.current?.focus(); // the terminal is of no use any more
  }, [over, seen]);
  return (
    <section aria-label={t("terminal.title")} className="flex h-full flex-col bg-surface">
      <div className="flex min-h-9 flex-wrap items-center gap-x-4 gap-y-1 border-b border-line px-3 py-1 text-xs text-muted empty:hidden">
        {!state.end && <Steps state={state} />}
        {state.ready && !over && (
          <>
            {state.ready.recording_id && (
              <span className="inline-flex items-center gap-1.5 text-danger-text">
                <Circle aria-hidden className="size-2.5 fill-current" />
                {t("terminal.recorded")}
              </span>
            )}
            <EmergencyMark of={{ emergency: !!want.emergency }} />
            <TimeLeft until={state.ready.expires_at} />
            <span className="ml-auto hidden lg:inline">{t("terminal.leave")}</span>
            <span className="flex gap-2 max-lg:ml-auto">
              {state.command && <CopyButton text={state.command} label={t("terminal.copyCommand")} className={`${small} max-sm:hidden`} />}
              <Button ref={way} className={small} onClick={() => connection.current?.close()}>
                {t("terminal.end")}
              </Button>
            </span>
          </>
        )}
      </div>
      <div aria-live="polite">
        {notice && (
          <div className="p-2">
            <Alert tone="warn">{notice}</Alert>
          </div>
        )}
      </div>
      {over && (
        <div className="space-y-3 p-3">
          {state.error ? <Problem error={state.error} /> : <Ended end={state.end!} />}
          <div className="flex flex-wrap items-center gap-2">
            <Button ref={way} kind="primary" onClick={again}>
              {t("terminal.again")}
            </Button>
            {state.ready?.recording_id && (
              <a href={`/recordings/${state.ready.recording_id}`} className={`text-sm ${textLink}`}>
                {t("terminal.toRecording")}
              </a>
            )}
          </div>
        </div>
      )}
      {state.command && state.error !== undefined && (
        <div className="flex flex-wrap items-center gap-3 p-3 text-sm">
          <span className="text-muted">{t("terminal.native")}</span>
          <code className="rounded bg-sunken px-2 py-1 font-mono text-xs break-all">{state.command}</code>
          <CopyButton text={state.command} />
        </div>
      )}
      <div className="min-h-0 flex-1 bg-[#0b1015] p-2">
        <div ref={box} className="h-full w-full overflow-hidden" />
      </div>
    </section>
  );
}

/** The gates of a launch, in the order in which they open; the last one alone
 * once all have. */
function Steps({ state }: { state: State }) {
  const { t } = useTranslation();
  const order = ["launch", "connect", "live"] as const;
  const at = order.indexOf(state.step);
  return (
    <ol className="flex flex-wrap gap-x-4" aria-label={t("terminal.steps")}>
      {order.map((s, i) => {
        if (state.step === "live" && s !== "live") return null;
        const failed = i === at && !!state.error;
        const done = i < at || (s === "live" && state.step === "live");
        const Icon = failed ? CircleX : done ? CircleCheck : i === at ? LoaderCircle : Circle;
        return (
          <li key={s} aria-current={i === at ? "step" : undefined} className={`inline-flex items-center gap-1 ${failed ? "text-danger-text" : done ? "text-good-text" : ""}`}>
            <Icon aria-hidden className={`size-3.5 ${!failed && !done && i === at ? "animate-spin" : ""}`} />
            <span className={s === "live" && done ? "max-sm:sr-only" : ""}>{t(`terminal.step.${s}`)}</span>
          </li>
        );
      })}
    </ol>
  );
}

function TimeLeft({ until }: { until: string }) {
  const { t } = useTranslation();
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const id = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(id);
  }, []);
  return (
    <span role="timer" className="tabular-nums">
      {t("terminal.left", { time: clock(Date.parse(until) - now) })}
    </span>
  );
}

function Ended({ end }: { end: End }) {
  const { t } = useTranslation();
  const clean = end.reason === "exit" && (end.status ?? 0) === 0 && !end.signal;
  return (
    <Alert tone={clean ? "info" : "warn"} title={t("terminal.over")}>
      {end.message || (end.signal ? t("terminal.signal", { signal: end.signal }) : end.status !== undefined ? t("terminal.status", { status: end.status }) : end.reason === "connection lost" ? t("terminal.lost") : end.reason)}
    </Alert>
  );
}
