import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, ok } from "../api/client";
import { useRole } from "../api/session";
import { Loading, Problem } from "./feedback";
import { RowLink } from "./link";
import { Card, CardLink, Time } from "./page";
import { useTitle } from "./title";

/** What the audit log says of one object, for those who may read the log. */
export function History({ target }: { target: string }) {
  const { t } = useTranslation();
  const titled = useTitle();
  const reads = useRole("owner", "admin", "auditor");
  const { data, error } = useQuery({ queryKey: ["audit", "of", target], enabled: reads, queryFn: () => ok(api.GET("/api/v1/audit-events", { params: { query: { target_id: target, limit: 10 } } })) });
  if (!reads) return null;
  return (
    <Card title={t("ui.history")} actions={<CardLink to="/audit" search={{ target_id: target }}>{t("ui.allEvents")}</CardLink>}>
      {error ? (
        <Problem error={error} />
      ) : !data ? (
        <Loading />
      ) : (
        <ul className="divide-y divide-line text-sm">
          {data.map((e) => (
            <li key={e.id} className="flex flex-wrap justify-between gap-x-4 py-2 first:pt-0 last:pb-0">
              <RowLink to={`/audit/${e.id}`}>{titled(e)}</RowLink>
              <span className="name text-muted">
                {e.actor?.name} · <Time at={e.time} />
              </span>
            </li>
          ))}
          {data.length === 0 && <li className="text-muted">{t("ui.noEvents")}</li>}
        </ul>
      )}
    </Card>
  );
}
