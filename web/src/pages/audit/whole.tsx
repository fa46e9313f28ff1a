import { useSearch } from "@tanstack/react-router";
import { ShieldCheck } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useWho } from "../../api/session";
import { fromBase64 } from "../../evidence/bytes";
import { bytes, count } from "../../format";
import { Button } from "../../ui/button";
import { Alert } from "../../ui/feedback";
import { Field, TextArea } from "../../ui/field";
import { textLink } from "../../ui/link";
import { Card, PageHead } from "../../ui/page";
import { Progress } from "../../ui/progress";
import { openExport } from "./download";
import { atMostEvery } from "./exporting";
import { checkExport, keptCheckpoints, linesOf, type Progress as Checked } from "./logcheck";
import { memory, serverOf } from "./server";
import { idle, Steps, type Check } from "./steps";
import { compare, originOf, Refuted, signedCheckpoint, type Step, type StepId } from "./verify";

/** Verifies a whole log here: every event, their order, and every checkpoint
 * that this browser or the person has kept. */
export default function WholeLog() {
  const { t } = useTranslation();
  const who = useWho();
  const { instance } = useSearch({ strict: false }) as { instance?: string };
  const own = instance === "true";
  const origin = originOf(own ? "" : who.org);
  const [kept, setKept] = useState("");
  const [keptError, setKeptError] = useState(false);
  const [check, setCheck] = useState<Check>(idle);
  const [progress, setProgress] = useState<Checked & { of: number }>();
  const [seen, setSeen] = useState(() => memory.read(origin));
  const running = useRef<AbortController>(null);
  useEffect(() => () => running.current?.abort(), []);

  const order: StepId[] = ["signature", "memory", "events", "root", ...(kept.trim() ? (["kept"] as const) : [])];

  async function verify(): Promise<void> {
    const stop = new AbortController();
    running.current = stop;
    setCheck({ state: "running", steps: [] });
    setProgress(undefined);
    setKeptError(false);
    const report = (s: Step) => setCheck((c) => ({ ...c, steps: [...c.steps, s] }));
    try {
      const server = serverOf(own);
      const before = memory.read(origin);
      const signed = await signedCheckpoint(origin, server);
      const of = signed.checkpoint.size;
      report({ id: "signature", state: "good", values: { size: of }, facts: { origin, note: signed.note, key: signed.key } });
      const due = await keptCheckpoints(kept, signed);
      report(await compare(signed, before, server, memory));
      if (before) due.push({ size: before.size, root: fromBase64(before.root) });

      const tell = atMostEvery(100, setProgress);
      const stream = await openExport({ format: "ndjson", ...(own && { instance: true }) }, stop.signal);
      const found = await checkExport(linesOf(stream), signed, due, (p) => tell({ ...p, of: Math.max(of, p.events) }));
      report({ id: "events", state: "good", values: { number: found.size } });
      report({ id: "root", state: "good", values: { number: found.size }, facts: { root: found.root } });
      memory.write(origin, { key: signed.key, ...found });
      if (kept.trim()) report({ id: "kept", state: "good", values: { count: due.length - (before ? 1 : 0) } });
      setCheck((c) => ({ ...c, state: "good" }));
    } catch (error) {
      const unreadable = error instanceof Refuted && error.reason === "keptNone";
      setKeptError(unreadable);
      setCheck(stop.signal.aborted || unreadable ? idle : (c) => ({ ...c, state: "bad", error }));
    } finally {
      running.current = null;
      setSeen(memory.read(origin));
    }
  }

  const busy = check.state === "running";
  return (
    <>
      <PageHead title={t("audit.whole")} parent={{ to: "/audit", search: own ? { instance: "true" } : undefined, label: t("audit.title") }} lead={t("audit.wholeLead")} />
      <div className="space-y-6">
        <Card
          title={t("audit.evidence")}
          actions={
            <div className="flex gap-2">
              {busy && <Button onClick={() => running.current?.abort()}>{t("ui.cancel")}</Button>}
              <Button kind={check.state === "idle" || busy ? "primary" : "secondary"} busy={busy} onClick={() => void verify()}>
                <ShieldCheck aria-hidden className="size-4" />
                {t(check.state === "idle" || busy ? "audit.verify" : "audit.verifyAgain")}
              </Button>
            </div>
          }
        >
          <div className="space-y-5">
            {check.state === "good" && (
              <Alert tone="good" title={t("audit.wholeGood")}>
                {t("audit.wholeGoodLead")}
              </Alert>
            )}
            {busy && progress && <Progress label={t("audit.verifying")} value={progress.events} max={progress.of} />}
            <Steps order={order} check={check} now={progress && t("audit.checkedSoFar", { number: count(progress.events), of: count(progress.of), bytes: bytes(progress.bytes) })} />
          </div>
        </Card>
        <Card title={t("audit.elsewhere")}>
          <div className="space-y-4">
            <p className="max-w-prose text-sm text-muted">{t("audit.elsewhereLead")}</p>
            <Field label={t("audit.keptCheckpoints")} hint={t("audit.keptHint")} error={keptError ? t("audit.keptNone") : undefined}>
              <TextArea className="font-mono text-xs" value={kept} disabled={busy} onChange={(e) => setKept(e.target.value)} placeholder={`${origin}\n…`} />
            </Field>
            {seen && (
              <p className="flex flex-wrap items-center gap-x-3 gap-y-1 text-sm text-muted">
                {t("audit.remembered", { size: count(seen.size) })}
                <button
                  type="button"
                  className={textLink}
                  onClick={() => {
                    memory.forget(origin);
                    setSeen(undefined);
                  }}
                >
                  {t("audit.forget")}
                </button>
              </p>
            )}
          </div>
        </Card>
      </div>
    </>
  );
}
