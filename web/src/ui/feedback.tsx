import { CircleAlert, CircleCheck, Info, LoaderCircle, TriangleAlert } from "lucide-react";
import { useLayoutEffect, useRef, useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "../api/client";
import { Button } from "./button";
import { words } from "./words";

const tones = {
  danger: { box: "bg-danger-soft text-danger-text", Icon: CircleAlert },
  warn: { box: "bg-warn-soft text-warn-text", Icon: TriangleAlert },
  good: { box: "bg-good-soft text-good-text", Icon: CircleCheck },
  info: { box: "bg-info-soft text-info-text", Icon: Info },
};
/** quiet is for what is as it should be, and needs no look. */
export type Tone = keyof typeof tones | "plain" | "quiet";

export function Alert({ tone, title, children, action }: { tone: keyof typeof tones; title?: string; children?: ReactNode; action?: ReactNode }) {
  const { box, Icon } = tones[tone];
  return (
    <div role={tone === "danger" ? "alert" : "status"} className={`flex items-start gap-3 rounded-md border border-current/25 px-4 py-3 text-sm ${box}`}>
      <Icon aria-hidden className="mt-0.5 size-4 shrink-0" />
      <div className="min-w-0 flex-1 space-y-1">
        {title && <p className="font-semibold">{title}</p>}
        {children && <div className="name">{children}</div>}
      </div>
      {action}
    </div>
  );
}

/** What went wrong, with what helps to find it in a log. In a form it leads to
 * the first field that is wrong, and names only those that no field shows. */
export function Problem({ error, retry }: { error: unknown; retry?: () => void }) {
  const { t } = useTranslation();
  const here = useRef<HTMLParagraphElement>(null);
  const [elsewhere, setElsewhere] = useState<ApiError["details"]>([]);
  useLayoutEffect(() => {
    const form = here.current?.closest("form");
    const shown = new Set([...(form?.querySelectorAll<HTMLElement>("[data-problem]") ?? [])].map((p) => p.dataset.problem));
    setElsewhere(error instanceof ApiError ? error.details.filter((d) => !shown.has(d.problem)) : []);
    form?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
  }, [error]);
  if (!error) return null;
  const e = error instanceof ApiError ? error : undefined;
  const text = e?.code === "UNREACHABLE" ? t("ui.unreachable") : e?.message ? words(t, e.message) : t("ui.broken");
  return (
    <Alert tone="danger" action={retry && <Button onClick={retry}>{t("ui.retry")}</Button>}>
      <p ref={here}>{text}</p>
      {elsewhere.length > 0 && (
        <ul className="list-disc pl-5">
          {elsewhere.map((d) => (
            <li key={d.field + d.problem}>
              <code>{d.field}</code> {words(t, d.problem)}
            </li>
          ))}
        </ul>
      )}
      {e?.requestId && e.status >= 500 && <p className="font-mono text-xs">{e.requestId}</p>}
    </Alert>
  );
}

export function Badge({ tone = "plain", children }: { tone?: Tone; children: ReactNode }) {
  if (tone === "quiet") return <span className="text-muted">{children}</span>;
  const box = tone === "plain" ? "bg-sunken text-muted" : tones[tone].box;
  return <span className={`inline-flex items-center gap-1 rounded-full border border-current/20 px-2 py-0.5 text-xs font-medium whitespace-nowrap ${box}`}>{children}</span>;
}

/** Says what to do next where there is nothing yet. */
export function Empty({ title, children, action }: { title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <div className="flex flex-col items-center gap-3 rounded-lg border border-dashed border-line-strong bg-surface px-6 py-12 text-center">
      <p className="text-base font-semibold">{title}</p>
      {children && <div className="max-w-prose text-sm text-muted">{children}</div>}
      {action}
    </div>
  );
}

/** What comes at once needs no word; the rest has one after a moment. */
export function Loading() {
  const { t } = useTranslation();
  return (
    <p role="status" className="late flex min-h-40 items-center justify-center gap-2 text-sm text-muted">
      <LoaderCircle aria-hidden className="size-4 animate-spin" />
      {t("ui.loading")}
    </p>
  );
}
