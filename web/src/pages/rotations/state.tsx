// What a rotation is doing, in words.
import { useTranslation } from "react-i18next";
import type { Schemas } from "../../api/client";
import { Badge, type Tone } from "../../ui/feedback";

export type Rotation = Schemas["Rotation"];
export type State = Rotation["state"];

export const states = ["queued", "stored", "applying", "applied", "verified", "spreading", "done", "failed", "stuck", "cancelled"] as const satisfies State[];
export const flags = ["stuck", "refused", "weak", "old", "never_rotated", "shared", "unused"] as const;

/** Whether the server goes on by itself, so that it is worth asking again. */
export const moves = (r: Rotation) => !r.ended_at && !r.needs_attention;

/** How long to wait before rotations are read again; false: nothing moves. */
export const pace = (all: Rotation[] | undefined, quick = 1500) => (all?.some(moves) ? quick : false);

/** Whether it can be ended: the target has not heard of the new secret. */
export const cancellable = (r: Rotation) => r.state === "queued" || r.state === "stored";

/** Whether it can be asked to go on now: it waits for a person or for a time. */
export const retriable = (r: Rotation) => !r.ended_at && (r.needs_attention || r.attempts > 0);

const tones: Partial<Record<State, Tone>> = { done: "quiet", cancelled: "quiet", failed: "warn", stuck: "danger" };

export function StateBadge({ state }: { state: State }) {
  const { t } = useTranslation();
  return <Badge tone={tones[state] ?? "info"}>{t(`rotations.states.${state}`)}</Badge>;
}

/** Each flag as a badge with its words. */
export function Flags({ of }: { of: string[] }) {
  const { t } = useTranslation();
  if (of.length === 0) return <Badge tone="quiet">{t("rotations.noFlags")}</Badge>;
  return (
    <span className="flex flex-wrap gap-1">
      {flags
        .filter((f) => of.includes(f))
        .map((f) => (
          <Badge key={f} tone={f === "stuck" || f === "refused" ? "danger" : f === "weak" || f === "old" ? "warn" : "plain"}>
            {t(`rotations.flags.${f}`)}
          </Badge>
        ))}
    </span>
  );
}

/** From one version to the next, as far as there are any. */
export function Versions({ of: r }: { of: Rotation }) {
  const { t } = useTranslation();
  if (!r.version) return <span className="text-faint">–</span>;
  return <>{r.old_version ? t("rotations.fromTo", { a: r.old_version, b: r.version }) : t("accounts.version", { n: r.version })}</>;
}
