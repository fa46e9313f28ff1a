import type { ErrorComponentProps } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { ButtonLink } from "../ui/button";
import { Problem } from "../ui/feedback";
import { PageHead } from "../ui/page";

export function NotFound() {
  const { t } = useTranslation();
  return <PageHead title={t("shell.notFound")} lead={t("shell.notFoundLead")} actions={<ButtonLink to="/safes">{t("shell.toSafes")}</ButtonLink>} />;
}

export function PageError({ error, reset }: ErrorComponentProps) {
  return <Problem error={error} retry={reset} />;
}
