import { ChevronLeft } from "lucide-react";
import { useEffect, type ReactNode } from "react";
import { ago, when } from "../format";
import { A } from "./link";

/** The head of a page: where it is, what it is, what can be done. */
export function PageHead({ title, parent, lead, badges, actions }: { title: string; parent?: { to: string; search?: Record<string, string>; label: string }; lead?: ReactNode; badges?: ReactNode; actions?: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · VaultPAM`;
  }, [title]);
  return (
    <header className="mb-6 flex flex-wrap items-end justify-between gap-x-6 gap-y-3">
      <div className="min-w-0 space-y-1">
        {parent && (
          <p className="text-sm">
            <A to={parent.to} search={parent.search} className="-ml-1 inline-flex min-h-[24px] max-w-full items-center gap-0.5 text-muted underline-offset-4 hover:text-text hover:underline">
              <ChevronLeft aria-hidden className="size-4 shrink-0" />
              <span className="name line-clamp-1">{parent.label}</span>
            </A>
          </p>
        )}
        <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <h1 className="name line-clamp-3 min-w-0 text-2xl font-semibold tracking-tight">{title}</h1>
          {badges}
        </div>
        {lead && <div className="name max-w-prose text-sm text-muted">{lead}</div>}
      </div>
      {actions && <div className="flex flex-wrap items-center gap-2">{actions}</div>}
    </header>
  );
}

export function Card({ title, actions, children }: { title?: string; actions?: ReactNode; children: ReactNode }) {
  return (
    <section className="rounded-lg border border-line bg-surface">
      {title && (
        <div className="flex flex-wrap items-center justify-between gap-2 border-b border-line px-5 py-3">
          <h2 className="text-base font-semibold">{title}</h2>
          {actions}
        </div>
      )}
      <div className="p-5">{children}</div>
    </section>
  );
}

/** Where a card leads, in its head. */
export function CardLink({ to, search, children }: { to: string; search?: Record<string, string>; children: ReactNode }) {
  return (
    <A to={to} search={search} className="-my-1 inline-flex min-h-[24px] items-center text-sm text-accent-text underline-offset-4 hover:underline">
      {children}
    </A>
  );
}

/** Facts of one object. */
export function Facts({ children }: { children: ReactNode }) {
  return <dl className="grid grid-cols-1 gap-x-8 gap-y-3 text-sm sm:grid-cols-2">{children}</dl>;
}

export function Fact({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div className="min-w-0">
      <dt className="text-muted">{label}</dt>
      <dd className="name font-medium">{children}</dd>
    </div>
  );
}

/** A time as people say it, with the exact one at hand. */
export function Time({ at }: { at?: string | null }) {
  if (!at) return <span className="text-faint">–</span>;
  return (
    <time dateTime={at} title={when(at)} className="whitespace-nowrap">
      {ago(at)}
    </time>
  );
}
