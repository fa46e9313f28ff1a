import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../../api/client";
import { useRole } from "../../api/session";
import { Badge, Loading, Problem } from "../../ui/feedback";
import { RowLink, A } from "../../ui/link";
import { Card, CardLink, Time } from "../../ui/page";
import { certificateOf } from "./certificate";

/** The last certificates, as the audit log has them: the authority keeps none
 * for longer than it is valid. */
export function Issued() {
  const { t } = useTranslation();
  const reads = useRole("owner", "admin", "auditor");
  const { data, error, refetch } = useQuery({ queryKey: ["audit", "ssh-certificates"], enabled: reads, queryFn: () => ok(api.GET("/api/v1/audit-events", { params: { query: { type: "CREDENTIAL_ISSUED", limit: 10 } } })) });
  if (!reads) return null;
  return (
    <Card
      title={t("sshca.issued")}
      actions={
        <CardLink to="/audit" search={{ type: "CREDENTIAL_ISSUED" }}>
          {t("ui.allEvents")}
        </CardLink>
      }
    >
      <p className="mb-4 max-w-prose text-sm text-muted">{t("sshca.issuedLead")}</p>
      {error ? (
        <Problem error={error} retry={() => void refetch()} />
      ) : !data ? (
        <Loading />
      ) : data.length === 0 ? (
        <p className="text-sm text-muted">{t("sshca.noneIssued")}</p>
      ) : (
        <ul className="divide-y divide-line text-sm">
          {data.map((e) => (
            <Certificate key={e.id} event={e} />
          ))}
        </ul>
      )}
    </Card>
  );
}

function Certificate({ event: e }: { event: Schemas["AuditEvent"] }) {
  const { t } = useTranslation();
  const c = certificateOf(e);
  return (
    <li className="flex flex-wrap items-start justify-between gap-x-4 gap-y-1 py-2.5 first:pt-0 last:pb-0">
      <div className="min-w-0 flex-1 basis-64">
        <p>
          <RowLink to={`/audit/${e.id}`}>{t("sshca.for", { names: c.principals.join(", ") || "–" })}</RowLink>{" "}
          {c.until && Date.parse(c.until) > Date.now() ? <Badge tone="info">{t("sshca.valid")}</Badge> : <Badge tone="quiet">{t("sshca.expired")}</Badge>}
        </p>
        <p className="name text-muted">
          {t("sshca.serial")} <code className="text-xs">{c.serial}</code> · {e.actor.name || e.actor.id}
        </p>
      </div>
      <p className="text-muted">
        {c.session && (
          <>
            <A to={`/sessions/${c.session}`}>{t("sshca.session")}</A> ·{" "}
          </>
        )}
        <Time at={e.time} />
      </p>
    </li>
  );
}
