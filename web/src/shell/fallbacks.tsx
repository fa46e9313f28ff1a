import type { ErrorComponentProps } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { ButtonLink } from "../ui/button";
import { Empty, Problem } from "../ui/feedback";

export function NotFound() {
  const { t } = useTranslation();
  return <Empty title={t("shell.notFound")} action={<ButtonLink to="/safes">{t("shell.toSafes")}</ButtonLink>} />;
}

export function PageError({ error, reset }: ErrorComponentProps) {
  return <Problem error={error} retry={reset} />;
}
