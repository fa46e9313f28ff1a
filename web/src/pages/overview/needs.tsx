import { useQuery, useQueryClient } from "@tanstack/react-query";
import { ClipboardCheck, MailQuestion } from "lucide-react";
import { useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../../api/client";
import { useSession, useWho } from "../../api/session";
import { Button, ButtonLink } from "../../ui/button";
import { Problem } from "../../ui/feedback";
import { Card, Time } from "../../ui/page";

export function useChanges() {
  const { org } = useWho();
  return useQuery({ queryKey: ["confirmations", "mine"], queryFn: decidable, enabled: !!org, refetchInterval: 15_000 });
}

/** What waits for this person: changes that they may decide, organizations
 * that invited them. Nothing at all where nothing waits. */
export function Needs() {
  const { t } = useTranslation();
  const who = useWho();
  const { data: changes } = useChanges();
  const invitations = who.memberships.filter((m) => m.status === "invited");
  if (!changes?.length && invitations.length === 0) return null;
  return (
    <Card title={t("overview.needs")}>
      <ul className="divide-y divide-line">
        {invitations.map((m) => (
          <Invitation key={m.org_id} invitation={m} />
        ))}
        {changes?.map((c) => (
          <Row key={c.id} icon={<ClipboardCheck aria-hidden className="mt-0.5 size-5 shrink-0 text-warn-text" />} text={c.summary} action={<ButtonLink to={`/confirmations/${c.id}`}>{t("overview.decide")}</ButtonLink>}>
            {t(`confirmations.kinds.${c.kind}`)} · {c.safe} · <Time at={c.created_at} />
            {c.requested_by === who.me.id && ` · ${t("overview.askedByYou")}`}
          </Row>
        ))}
      </ul>
    </Card>
  );
}

const shown = 5;

/** The changes that wait in Safes of which the caller is a manager; others
 * may see more than they may decide. */
async function decidable(): Promise<(Schemas["Confirmation"] & { safe: string })[]> {
  const waiting = await ok(api.GET("/api/v1/confirmations", { params: { query: { status: "pending", limit: 50 } } }));
  const ids = [...new Set(waiting.map((c) => c.safe_id))].slice(0, 2 * shown);
  const safes = await Promise.all(ids.map((id) => ok(api.GET("/api/v1/safes/{id}", { params: { path: { id } } })).catch(() => undefined)));
  const managed = new Map(safes.flatMap((s) => (s?.role === "manager" ? [[s.id, s.name] as const] : [])));
  return waiting.flatMap((c) => (managed.has(c.safe_id) ? [{ ...c, safe: managed.get(c.safe_id)! }] : [])).slice(0, shown);
}

function Row({ icon, text, action, children }: { icon: ReactNode; text: string; action: ReactNode; children: ReactNode }) {
  return (
    <li className="flex flex-wrap items-center justify-between gap-3 py-3 text-sm first:pt-0 last:pb-0">
      <div className="flex min-w-0 flex-1 basis-64 gap-3">
        {icon}
        <div className="min-w-0">
          <p className="name line-clamp-2 font-medium">{text}</p>
          <p className="name text-muted">{children}</p>
        </div>
      </div>
      {action}
    </li>
  );
}

function Invitation({ invitation: m }: { invitation: Schemas["Membership"] }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const { enter } = useSession();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  async function accept(): Promise<void> {
    setBusy(true);
    try {
      await ok(api.POST("/api/v1/me/memberships/{org_id}/accept", { params: { path: { org_id: m.org_id } } }));
      await client.invalidateQueries({ queryKey: ["who"] });
      enter(m.org_id);
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  }
  return (
    <>
      <Row
        icon={<MailQuestion aria-hidden className="mt-0.5 size-5 shrink-0 text-info-text" />}
        text={t("overview.invited", { name: m.name })}
        action={
          <Button kind="primary" busy={busy} onClick={() => void accept()}>
            {t("overview.accept")}
          </Button>
        }
      >
        {t(`members.roles.${m.role}`)}
      </Row>
      {error !== undefined && <Problem error={error} />}
    </>
  );
}
