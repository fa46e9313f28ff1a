import { SquareTerminal } from "lucide-react";
import { useTranslation } from "react-i18next";
import type { Schemas } from "../../api/client";
import { Button, IconButton } from "../../ui/button";

/** Whether the caller's role in the Safe lets them launch. */
export const mayLaunch = (safe: Schemas["Safe"]) => safe.role === "operator" || safe.role === "manager";

const open = (at: Record<string, string>) => location.assign(`/terminal?${new URLSearchParams(at)}`);

/** One press to the terminal, which is a document of its own. */
export function LaunchButton({ safe, compact, granted }: { safe: Schemas["Safe"]; compact?: boolean; granted?: boolean }) {
  const { t } = useTranslation();
  // Who comes by a grant alone does not see what the Safe holds.
  if (safe.locked || !(mayLaunch(safe) ? safe.bindings.length > 0 : granted)) return null;
  return (
    <Button kind={compact ? "secondary" : "primary"} className={compact ? "min-h-8 py-1" : ""} aria-label={compact ? t("safes.launchNamed", { name: safe.name }) : undefined} onClick={() => open({ safe: safe.id })}>
      <SquareTerminal aria-hidden className="size-4" />
      {compact ? <span className="max-sm:sr-only">{t("safes.launch")}</span> : t("safes.launch")}
    </Button>
  );
}

/** The same to one of a Safe's targets. */
export function LaunchTarget({ safe, resource, account, name }: { safe: Schemas["Safe"]; resource: string; account: string; name: string }) {
  const { t } = useTranslation();
  if (!mayLaunch(safe) || safe.locked) return null;
  return (
    <IconButton label={t("safes.launchNamed", { name })} onClick={() => open({ safe: safe.id, resource, account })}>
      <SquareTerminal aria-hidden className="size-4" />
    </IconButton>
  );
}
