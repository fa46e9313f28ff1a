import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, ok } from "../../api/client";
import { useRole } from "../../api/session";
import { Badge, Loading, Problem } from "../../ui/feedback";
import { RowLink } from "../../ui/link";
import { Card, CardLink } from "../../ui/page";
import { statuses } from "./list";

/** The policies of one Safe, for who may read policies; for everybody the way
 * to what they come to. */
export function PoliciesOfSafe({ safe }: { safe: string }) {
  const { t } = useTranslation();
  const reads = useRole("owner", "admin", "policy_manager", "auditor");
  const { data, error } = useQuery({ queryKey: ["policies", "of", safe], enabled: reads, queryFn: () => ok(api.GET("/api/v1/policies", { params: { query: { safe_id: safe } } })) });
  const way = (
    <CardLink to="/policies/try" search={{ safe }}>
      {t("policies.try")}
    </CardLink>
  );
  return (
    <Card title={t("policies.title")} actions={way}>
      {!reads ? (
        <p className="text-sm text-muted">{t("policies.tryLead")}</p>
      ) : error ? (
        <Problem error={error} />
      ) : !data ? (
        <Loading />
      ) : data.length === 0 ? (
        <p className="text-sm text-muted">{t("policies.noneAtSafe")}</p>
      ) : (
        <ul className="divide-y divide-line text-sm">
          {data.map((p) => (
            <li key={p.id} className="flex flex-wrap items-center justify-between gap-3 py-2.5 first:pt-0 last:pb-0">
              <span className="name min-w-0 flex-1">
                <RowLink to={`/policies/${p.id}`}>{p.name}</RowLink>
              </span>
              <span className="text-muted">{t(`policies.actions.${p.action}`)}</span>
              <Badge tone={statuses[p.status]}>{t(`policies.statuses.${p.status}`)}</Badge>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}
