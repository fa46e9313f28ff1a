// Where a checkout stands, in words, and who may do what with it.
import { Siren } from "lucide-react";
import { useTranslation } from "react-i18next";
import type { Schemas } from "../../api/client";
import { Badge } from "../../ui/feedback";

export type Checkout = Schemas["Checkout"];
export type Cause = NonNullable<Checkout["cause"]>;

export const causes = ["by_holder", "forced", "timeout", "session_ended", "grant_ended", "membership_ended", "access_removed", "binding_removed", "safe_locked", "not_opened",
  "checkout_off", "hours_over", "credential_expired", "policy_denied", "approval_needed", "access_unconfirmed"] as const satisfies Cause[];

/** How often the server extends one checkout. */
export const mostExtensions = 3;

/** Whether somebody has the secret. */
export const isOut = (c: Checkout) => c.status === "checked_out";

/** Whether the reader may keep the secret for longer. The Safe is asked again then. */
export const extendable = (c: Checkout, me: string) => isOut(c) && c.user_id === me && c.extensions < mostExtensions;

/** Whether the reader may end the checkout. Whoever sees that of somebody else
 * manages the Safe or oversees the organization; an auditor only looks on. */
export const endable = (c: Checkout, me: string, role: string) => isOut(c) && (c.user_id === me || role !== "auditor");

/** Out, or what ended it: as the words of a cause that is not known yet, the cause itself. */
export function StateBadge({ of: c }: { of: Checkout }) {
  const { t } = useTranslation();
  if (isOut(c)) return <Badge tone="info">{t("checkouts.out")}</Badge>;
  const known = c.cause && (causes as readonly string[]).includes(c.cause);
  return <Badge tone={c.cause === "forced" || c.cause === "safe_locked" ? "warn" : "quiet"}>{known ? t(`checkouts.causes.${c.cause}`) : (c.cause ?? t("checkouts.back"))}</Badge>;
}

/** The mark of what was reached by break-glass. */
export function EmergencyMark({ of }: { of: { emergency: boolean } }) {
  const { t } = useTranslation();
  if (!of.emergency) return null;
  return (
    <Badge tone="danger">
      <Siren aria-hidden className="size-3" />
      {t("checkouts.emergency")}
    </Badge>
  );
}
