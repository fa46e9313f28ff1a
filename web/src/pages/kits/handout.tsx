import { useBlocker } from "@tanstack/react-router";
import { Download, Eye, EyeOff } from "lucide-react";
import { useEffect, useRef, useState, type ReactNode, type RefObject } from "react";
import { useTranslation } from "react-i18next";
import type { Schemas } from "../../api/client";
import { Button, ButtonLink } from "../../ui/button";
import { ActDialog } from "../../ui/dialog";
import { Alert } from "../../ui/feedback";
import { Card } from "../../ui/page";
import { Progress } from "../../ui/progress";
import { save } from "../../ui/save";

export interface Handed {
  safe: string;
  file: Blob;
  name: string;
  total: number;
  threshold: number;
  accounts: number;
  leftOut: Schemas["KitGap"][];
}

/** Gives a kit away part by part: the file, and then each share to another
 * person, one after the other and once. What was given is not here any more. */
export function HandOut({ kit, shares, back }: { kit: Handed; shares: RefObject<string[]>; back: string }) {
  const { t } = useTranslation();
  const [saved, setSaved] = useState(false);
  const [begun, setBegun] = useState(false);
  const [given, setGiven] = useState(0); // shares that are out of this page
  const [share, setShare] = useState(""); // the one that is shown
  const copied = useRef(false);
  const over = given === kit.total;
  const leaving = useBlocker({ shouldBlockFn: () => !over, enableBeforeUnload: () => !over, withResolver: true });

  function hide() {
    setShare("");
    setGiven(given + 1);
    // The next person does not find it there; where it cannot be cleared, the
    // page has said that it lies there.
    if (copied.current) void navigator.clipboard.writeText("").catch(() => {});
    copied.current = false;
  }

  return (
    <div className="max-w-2xl space-y-6">
      {over ? (
        <Step key="over" title={t("kits.done")}>
          <Alert tone="good">{t("kits.doneLead")}</Alert>
          <Opening kit={kit} />
          <ButtonLink to={back} kind="primary">
            {t("kits.toSafe")}
          </ButtonLink>
        </Step>
      ) : !begun ? (
        <Step key="file" title={t("kits.file")}>
          <p className="text-sm">{t("kits.fileHolds", { count: kit.accounts })}</p>
          {kit.leftOut.length > 0 && (
            <div className="text-sm">
              <p>{t("kits.leftOut")}</p>
              <ul className="list-disc pl-5">
                {kit.leftOut.map((a) => (
                  <li key={a.account_id} className="name">
                    {a.name}
                  </li>
                ))}
              </ul>
            </div>
          )}
          <p className="text-sm text-muted">{t("kits.fileLead")}</p>
          <div className="flex flex-wrap gap-2">
            <Button
              kind={saved ? "secondary" : "primary"}
              onClick={() => {
                save(kit.file, kit.name);
                setSaved(true);
              }}
            >
              <Download aria-hidden className="size-4" />
              {t("kits.save")}
            </Button>
            <Button kind={saved ? "primary" : "secondary"} disabled={!saved} onClick={() => setBegun(true)}>
              {t("kits.toShares")}
            </Button>
          </div>
        </Step>
      ) : (
        <Step key={`share ${given}`} title={t("kits.share", { n: given + 1, all: kit.total })}>
          <Progress label={t("kits.progress")} value={given} max={kit.total} />
          {share === "" ? (
            <>
              <p className="text-sm">{t("kits.shareAlone")}</p>
              <Button kind="primary" onClick={() => setShare(shares.current.shift() ?? "")}>
                <Eye aria-hidden className="size-4" />
                {t("kits.show", { n: given + 1 })}
              </Button>
            </>
          ) : (
            <>
              <p className="text-sm">{t("kits.shareLead")}</p>
              <Shown text={share} label={t("kits.share", { n: given + 1, all: kit.total })} />
              <div className="flex flex-wrap gap-2">
                <Copy text={share} done={() => (copied.current = true)} />
                <Button kind="primary" onClick={hide}>
                  <EyeOff aria-hidden className="size-4" />
                  {t("kits.hide")}
                </Button>
              </div>
            </>
          )}
        </Step>
      )}
      {leaving.status === "blocked" && (
        <ActDialog title={t("kits.leaveTitle")} label={t("kits.leave")} kind="danger" onClose={leaving.reset} act={async () => leaving.proceed()}>
          <p className="text-sm text-muted">{t("kits.leaveLead", { count: kit.total - given })}</p>
        </ActDialog>
      )}
    </div>
  );
}

/** One step; screen readers hear of it as it comes. */
function Step({ title, children }: { title: string; children: ReactNode }) {
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => ref.current?.focus(), []);
  return (
    <div ref={ref} tabIndex={-1} aria-label={title} role="group" className="rounded-lg">
      <Card title={title}>
        <div className="space-y-4">{children}</div>
      </Card>
    </div>
  );
}

/** A share as it is written down: it takes the focus, so that it is read out. */
function Shown({ text, label }: { text: string; label: string }) {
  const ref = useRef<HTMLPreElement>(null);
  useEffect(() => ref.current?.focus(), []);
  return (
    <pre ref={ref} tabIndex={0} aria-label={label} translate="no" className="rounded-md bg-sunken p-3 font-mono text-base break-all whitespace-pre-wrap">
      {text}
    </pre>
  );
}

function Copy({ text, done }: { text: string; done: () => void }) {
  const { t } = useTranslation();
  const [copied, setCopied] = useState(false);
  return (
    <Button
      onClick={() =>
        void navigator.clipboard.writeText(text).then(() => {
          done();
          setCopied(true);
        })
      }
    >
      <span aria-live="polite">{t(copied ? "ui.copied" : "ui.copy")}</span>
    </Button>
  );
}

function Opening({ kit }: { kit: Handed }) {
  const { t } = useTranslation();
  return (
    <>
      <p className="text-sm">{t("kits.open", { count: kit.threshold })}</p>
      <code className="block rounded-md bg-sunken p-3 font-mono text-sm break-all">vaultpam break-glass open {kit.name}</code>
      <p className="text-sm text-muted">{t("kits.tryIt")}</p>
    </>
  );
}
