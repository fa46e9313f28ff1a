import { SquareTerminal } from "lucide-react";
import { useTranslation } from "react-i18next";
import type { Schemas } from "../../api/client";
import { Button } from "../../ui/button";

/** Whether the caller's role in the Safe lets them launch. */
export const mayLaunch = (safe: Schemas["Safe"]) => safe.role === "operator" || safe.role === "manager";

/** One press to the terminal, which is a document of its own. */
export function LaunchButton({ safe, compact, resource, account }: { safe: Schemas["Safe"]; compact?: boolean; resource?: string; account?: string }) {
  const { t } = useTranslation();
  if (!mayLaunch(safe) || safe.bindings.length === 0) return compact ? <span className="text-faint">–</span> : null;
  const at = new URLSearchParams({ safe: safe.id, ...(resource && { resource }), ...(account && { account }) });
  return (
    <Button kind={compact ? "secondary" : "primary"} className={compact ? "min-h-8 py-1" : ""} aria-label={compact ? t("safes.launchNamed", { name: safe.name }) : undefined} onClick={() => location.assign(`/terminal?${at}`)}>
      <SquareTerminal aria-hidden className="size-4" />
      {t("safes.launch")}
    </Button>
  );
}
