/** How far something is; without max it only shows that it goes on. */
export function Progress({ label, value, max }: { label: string; value: number; max?: number }) {
  const part = max ? Math.min(1, value / max) : undefined;
  return (
    <div role="progressbar" aria-label={label} aria-valuemin={0} aria-valuemax={100} aria-valuenow={part === undefined ? undefined : Math.floor(100 * part)} className="h-2 overflow-hidden rounded-full border border-line-strong bg-sunken">
      <div className={`h-full rounded-full bg-accent ${part === undefined ? "w-full animate-pulse" : ""}`} style={part === undefined ? undefined : { width: `${100 * part}%` }} />
    </div>
  );
}
