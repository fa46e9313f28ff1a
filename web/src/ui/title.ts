import { useTranslation } from "react-i18next";

/** What an event of the audit log is called: by the page, or by the API where
 * that is newer. */
export function useTitle(): (e: { type: string; title: string }) => string {
  const { t, i18n } = useTranslation();
  return (e) => (i18n.exists(`audit.events.${e.type}`) ? t(`audit.events.${e.type}`) : e.title);
}
