import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, ok } from "../../api/client";
import { RowLink } from "../../ui/link";
import { Card, CardLink, Time } from "../../ui/page";
import { CheckoutActs } from "./acts";
import { EmergencyMark } from "./state";

/** Who has a secret of the Safe now, as far as the reader may see that. Without
 * any there is no card. */
export function OutNow({ safe }: { safe: string }) {
  const { t } = useTranslation();
  const { data } = useQuery({ queryKey: ["checkouts", "of", safe], queryFn: () => ok(api.GET("/api/v1/checkouts", { params: { query: { safe_id: safe, limit: 20 } } })), refetchInterval: 5000 });
  if (!data?.length) return null;
  return (
    <Card title={t("checkouts.now")} actions={<CardLink to="/checkouts" search={{ safe_id: safe, status: "all" }}>{t("checkouts.history")}</CardLink>}>
      <ul className="divide-y divide-line text-sm">
        {data.map((c) => (
          <li key={c.id} className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2 py-2 first:pt-0 last:pb-0">
            <div className="min-w-0 flex-1">
              <p>
                <RowLink to={`/checkouts/${c.id}`}>{c.account_name || c.account_id}</RowLink> <EmergencyMark of={c} />
              </p>
              <p className="name text-muted">
                {c.user_name || c.user_id} · <Time at={c.expires_at} />
                {c.reason && ` · ${c.reason}`}
              </p>
            </div>
            <CheckoutActs of={c} />
          </li>
        ))}
      </ul>
    </Card>
  );
}
