import { CircleAlert } from "lucide-react";
import { createContext, useContext, useId, type InputHTMLAttributes, type ReactNode, type SelectHTMLAttributes, type TextareaHTMLAttributes } from "react";
import { useTranslation } from "react-i18next";
import { words } from "./words";

/** What every control looks like, also one without a field around it. */
export const control = "rounded-md border border-line-strong bg-surface text-sm text-text placeholder:text-faint";

const box = `block w-full px-3 py-1.5 aria-invalid:border-danger disabled:opacity-60 ${control}`;

const FieldContext = createContext<{ id: string; described?: string; invalid?: boolean } | null>(null);

function useField() {
  const f = useContext(FieldContext);
  return f ? { id: f.id, "aria-describedby": f.described, "aria-invalid": f.invalid || undefined } : {};
}

/** A labelled control with its hint and what is wrong with it, as the API words it. */
export function Field({ label, hint, error, optional, children }: { label: string; hint?: ReactNode; error?: string; optional?: boolean; children: ReactNode }) {
  const { t } = useTranslation();
  const id = useId();
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ") || undefined;
  return (
    <div className="space-y-1">
      <label htmlFor={id} className="block text-sm font-medium">
        {label} {optional && <span className="font-normal text-faint">({t("ui.optional")})</span>}
      </label>
      <FieldContext value={{ id, described, invalid: !!error }}>{children}</FieldContext>
      {hint && (
        <p id={`${id}-hint`} className="text-sm text-muted">
          {hint}
        </p>
      )}
      {error && (
        <p id={`${id}-error`} data-problem={error} className="flex items-start gap-1.5 text-sm text-danger-text">
          <CircleAlert aria-hidden className="mt-0.5 size-4 shrink-0" />
          {words(t, error)}
        </p>
      )}
    </div>
  );
}

export function Input({ className = "", ...rest }: InputHTMLAttributes<HTMLInputElement>) {
  return <input {...useField()} className={`${box} min-h-9 ${className}`} autoCapitalize="off" spellCheck={false} {...rest} />;
}

export function TextArea({ className = "", ...rest }: TextareaHTMLAttributes<HTMLTextAreaElement>) {
  return <textarea {...useField()} className={`${box} ${className}`} rows={4} spellCheck={false} {...rest} />;
}

/** The browser's own: right on a phone, and by keyboard. */
export function Select({ className = "", children, ...rest }: SelectHTMLAttributes<HTMLSelectElement>) {
  return (
    <select {...useField()} className={`${box} min-h-9 ${className}`} {...rest}>
      {children}
    </select>
  );
}

export function Checkbox({ label, hint, ...rest }: InputHTMLAttributes<HTMLInputElement> & { label: ReactNode; hint?: ReactNode }) {
  const id = useId();
  return (
    <div className="flex items-start gap-2.5">
      <input type="checkbox" id={id} aria-describedby={hint ? `${id}-hint` : undefined} className="mt-1 size-4 accent-accent" {...rest} />
      <div>
        <label htmlFor={id} className="text-sm font-medium">
          {label}
        </label>
        {hint && (
          <p id={`${id}-hint`} className="text-sm text-muted">
            {hint}
          </p>
        )}
      </div>
    </div>
  );
}

/** A group of fields under one heading. */
export function FieldSet({ legend, hint, children }: { legend: string; hint?: string; children: ReactNode }) {
  return (
    <fieldset className="space-y-4">
      <legend className="text-base font-semibold">{legend}</legend>
      {hint && <p className="-mt-3 text-sm text-muted">{hint}</p>}
      {children}
    </fieldset>
  );
}
