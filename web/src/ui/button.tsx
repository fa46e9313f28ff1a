import { Check, Copy, LoaderCircle } from "lucide-react";
import { useState, type ButtonHTMLAttributes, type ComponentProps, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { A } from "./link";

const kinds = {
  primary: "bg-accent text-on-accent hover:bg-accent-strong border-transparent shadow-xs",
  secondary: "bg-surface text-text hover:bg-sunken border-line shadow-xs",
  quiet: "bg-transparent text-text hover:bg-sunken border-transparent",
  danger: "bg-danger text-on-danger hover:bg-danger-strong border-transparent",
};
export type ButtonKind = keyof typeof kinds;

export const buttonClass = (kind: ButtonKind, extra = "") =>
  `inline-flex min-h-9 items-center justify-center gap-2 rounded-md border px-3.5 py-1.5 text-sm font-medium no-underline transition-colors disabled:opacity-60 ${kinds[kind]} ${extra}`;

interface Props extends ComponentProps<"button"> {
  kind?: ButtonKind;
  busy?: boolean;
}

/** busy keeps the label and its width, and stops a second press. */
export function Button({ kind = "secondary", busy = false, className, children, disabled, type = "button", ...rest }: Props) {
  return (
    <button type={type} className={buttonClass(kind, className)} disabled={disabled || busy} aria-busy={busy || undefined} {...rest}>
      {busy && <LoaderCircle aria-hidden className="size-4 animate-spin" />}
      {children}
    </button>
  );
}

export function ButtonLink({ to, search, kind = "secondary", className, children }: { to: string; search?: Record<string, string>; kind?: ButtonKind; className?: string; children: ReactNode }) {
  return (
    <A to={to} search={search} className={buttonClass(kind, className)}>
      {children}
    </A>
  );
}

export function IconButton({ label, children, className = "", ...rest }: ButtonHTMLAttributes<HTMLButtonElement> & { label: string }) {
  return (
    <button type="button" aria-label={label} title={label} className={`inline-flex size-9 shrink-0 items-center justify-center rounded-md text-muted hover:bg-sunken hover:text-text ${className}`} {...rest}>
      {children}
    </button>
  );
}

/** Copies a text that may be seen. */
export function CopyButton({ text, label, className }: { text: string; label?: string; className?: string }) {
  const { t } = useTranslation();
  const [done, setDone] = useState(false);
  return (
    <Button
      className={className}
      onClick={() =>
        void navigator.clipboard.writeText(text).then(() => {
          setDone(true);
          setTimeout(() => setDone(false), 2000);
        })
      }
    >
      {done ? <Check aria-hidden className="size-4" /> : <Copy aria-hidden className="size-4" />}
      <span aria-live="polite">{done ? t("ui.copied") : (label ?? t("ui.copy"))}</span>
    </Button>
  );
}
