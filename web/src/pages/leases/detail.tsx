import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, ok } from "../../api/client";
import { count } from "../../format";
import { Button } from "../../ui/button";
import { Dialog } from "../../ui/dialog";
import { Alert } from "../../ui/feedback";
import { A } from "../../ui/link";
import { Fact, Facts, Time } from "../../ui/page";
import { late, Named, remedy, StateBadge, type Lease } from "./state";

/** All that is known of one user at a target, and what can be done. */
export function LeaseDetail({ lease: l, act, onClose }: { lease: Lease; act?: () => void; onClose: () => void }) {
  const { t } = useTranslation();
  const { data: checkout } = useQuery({
    queryKey: ["checkouts", l.checkout_id],
    queryFn: () => ok(api.GET("/api/v1/checkouts/{id}", { params: { path: { id: l.checkout_id } } })),
    retry: false,
  });
  return (
    <Dialog title={l.username} onClose={onClose} wide>
      <div className="text-sm" aria-live="polite">
        <StateBadge state={l.state} /> {t(`leases.means.${l.state}`)}
      </div>
      {l.problem && (
        <Alert tone={l.state === "stuck" ? "danger" : "warn"} title={t(`leases.short.${remedy(l.problem)}`)}>
          {t(`leases.remedies.${remedy(l.problem)}`)}
        </Alert>
      )}
      <Facts>
        <Fact label={t("leases.account")}>
          <A to={`/accounts/${l.account_id}`}>{l.account_name || l.account_id}</A>
        </Fact>
        <Fact label={t("leases.target")}>
          <A to={`/resources/${l.resource_id}`}>
            <Named id={l.resource_id} />
          </A>
        </Fact>
        {l.place && (
          <Fact label={t("leases.place")}>
            <code className="text-xs break-all">{l.place}</code>
          </Fact>
        )}
        <Fact label={t("leases.who")}>
          <Named id={l.user_id} />
        </Fact>
        <Fact label={t("leases.safe")}>
          <A to={`/safes/${l.safe_id}`}>
            <Named id={l.safe_id} />
          </A>
        </Fact>
        <Fact label={t("leases.reason")}>{checkout?.reason || <span className="font-normal text-faint">–</span>}</Fact>
        <Fact label={t("leases.checkout")}>
          <code className="text-xs break-all">{l.checkout_id}</code>
        </Fact>
        <Fact label={t("leases.since")}>
          <Time at={l.created_at} />
        </Fact>
        <Fact label={t("leases.until")}>
          <Time at={l.expires_at} />
        </Fact>
        <Fact label={t("leases.attempts")}>{count(l.attempts)}</Fact>
        <Fact label={t("leases.changed")}>
          <Time at={l.updated_at} />
        </Fact>
      </Facts>
      {act && (
        <div className="flex justify-end">
          <Button kind={late(l) ? "primary" : "danger"} onClick={act}>
            {t(late(l) ? "leases.retry" : "leases.drop")}
          </Button>
        </div>
      )}
    </Dialog>
  );
}
