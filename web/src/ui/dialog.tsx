import { X } from "lucide-react";
import { useEffect, useId, useRef, useState, type FormEvent, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Button, IconButton, type ButtonKind } from "./button";
import { Problem } from "./feedback";
import { Field, Input } from "./field";

interface DialogProps {
  title: string;
  onClose: () => void;
  children: ReactNode;
  wide?: boolean;
}

/** A modal of the browser's own: it holds the focus, closes with Escape and
 * gives the focus back. It is open while it is rendered. */
export function Dialog({ title, onClose, children, wide }: DialogProps) {
  const { t } = useTranslation();
  const id = useId();
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const d = ref.current;
    d?.showModal();
    // The browser would choose the button that closes it.
    d?.querySelector<HTMLElement>("input, select, textarea")?.focus();
    return () => d?.close();
  }, []);
  return (
    <dialog
      ref={ref}
      aria-labelledby={id}
      onCancel={(e) => {
        e.preventDefault();
        onClose();
      }}
      onMouseDown={(e) => e.target === ref.current && onClose()}
      className={`m-auto max-h-[90dvh] w-[calc(100vw-2rem)] overflow-y-auto rounded-lg border border-line bg-raised p-0 shadow-xl ${wide ? "max-w-3xl" : "max-w-lg"}`}
    >
      <div className="space-y-4 p-5">
        <div className="flex items-start justify-between gap-4">
          <h2 id={id} className="name text-lg font-semibold">
            {title}
          </h2>
          <IconButton label={t("ui.close")} onClick={onClose} className="-mt-1 -mr-2">
            <X aria-hidden className="size-4" />
          </IconButton>
        </div>
        {children}
      </div>
    </dialog>
  );
}

interface ActDialogProps {
  title: string;
  onClose: () => void;
  /** What the button says, and does. The dialog closes when it has succeeded. */
  label: string;
  act: () => Promise<unknown>;
  kind?: ButtonKind;
  disabled?: boolean;
  wide?: boolean;
  children?: ReactNode;
  /** Field errors are shown by the form itself. */
  onError?: (e: unknown) => void;
}

/** A dialog that does one thing. */
export function ActDialog({ title, onClose, label, act, kind = "primary", disabled, wide, children, onError }: ActDialogProps) {
  const { t } = useTranslation();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  async function submit(e: FormEvent) {
    e.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await act();
      onClose();
    } catch (err) {
      setError(err);
      onError?.(err);
    } finally {
      setBusy(false);
    }
  }
  return (
    <Dialog title={title} onClose={onClose} wide={wide}>
      <form onSubmit={(e) => void submit(e)} className="space-y-4" noValidate>
        {children}
        <Problem error={error} />
        <div className="flex flex-wrap justify-end gap-2">
          <Button onClick={onClose}>{t("ui.cancel")}</Button>
          <Button type="submit" kind={kind} busy={busy} disabled={disabled}>
            {label}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

/** Asks for the name of what will be gone. */
export function ConfirmByName({ name, children, ...rest }: Omit<ActDialogProps, "kind" | "disabled" | "children"> & { name: string; children?: ReactNode }) {
  const { t } = useTranslation();
  const [typed, setTyped] = useState("");
  return (
    <ActDialog {...rest} kind="danger" disabled={typed.trim() !== name.trim()}>
      {children && <div className="text-sm text-muted">{children}</div>}
      <Field label={t("ui.typeName")} hint={<code className="name">{name}</code>}>
        <Input value={typed} onChange={(e) => setTyped(e.target.value)} autoComplete="off" autoFocus />
      </Field>
    </ActDialog>
  );
}
