import type { Tone } from "../../ui/feedback";

/** The colours of a webhook's states, and of a delivery's. */
export const tones: Record<string, Tone> = { active: "good", failing: "warn", disabled: "quiet" };
export const deliveryTones: Record<string, Tone> = { sent: "good", pending: "warn", failed: "danger" };
