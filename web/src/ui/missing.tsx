import { useTranslation } from "react-i18next";
import { ApiError } from "../api/client";
import { ButtonLink } from "./button";
import { Problem } from "./feedback";
import { PageHead } from "./page";

/** A page that could not be read: what is not there is told apart from what
 * went wrong, and has a way on. */
export function Unread({ error, retry, back }: { error: unknown; retry: () => void; back: { to: string; label: string } }) {
  const { t } = useTranslation();
  if (!(error instanceof ApiError) || error.status !== 404) return <Problem error={error} retry={retry} />;
  return <PageHead title={t("shell.notFound")} lead={t("shell.notFoundLead")} actions={<ButtonLink to={back.to}>{back.label}</ButtonLink>} />;
}
