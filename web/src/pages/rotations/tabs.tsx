import { useLocation } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { A } from "../../ui/link";

/** From the accounts to what becomes of their credentials, and back. */
export function AccountTabs() {
  const { t } = useTranslation();
  const here = useLocation({ select: (l) => l.pathname });
  const tabs = { "/accounts": t("accounts.title"), "/accounts/rotations": t("rotations.title"), "/accounts/health": t("rotations.health"), "/accounts/leases": t("leases.title") };
  return (
    <nav aria-label={t("rotations.views")} className="mb-4 flex flex-wrap gap-x-5 border-b border-line text-sm">
      {Object.entries(tabs).map(([to, label]) => (
        <A key={to} to={to} aria-current={here === to ? "page" : undefined} className={`-mb-px border-b-2 px-1 py-2 ${here === to ? "border-accent font-medium text-accent-text" : "border-transparent text-muted hover:text-text"}`}>
          {label}
        </A>
      ))}
    </nav>
  );
}
