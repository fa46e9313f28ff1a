import { useQuery } from "@tanstack/react-query";
import { Siren, SquareTerminal, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ApiError, ok, type Schemas } from "../../api/client";
import { useWho } from "../../api/session";
import { Button, IconButton } from "../../ui/button";
import { ActDialog } from "../../ui/dialog";
import { Alert, Problem } from "../../ui/feedback";
import { Field, FieldSet, Input, Select, TextArea } from "../../ui/field";
import { RowLink } from "../../ui/link";
import { Card } from "../../ui/page";
import { Revealed } from "./reveal";
import { useTargets } from "./targets";

type BreakGlass = NonNullable<Schemas["SafeIn"]["break_glass"]>;

/** The members of the organization by id: their e-mail. */
export function usePeople(enabled: boolean) {
  const { data } = useQuery({ queryKey: ["members", "list", "all"], queryFn: () => ok(api.GET("/api/v1/org/members", { params: { query: {} } })), enabled, staleTime: 60_000 });
  return (id: string) => data?.find((m) => m.user_id === id)?.email ?? id;
}

/** Who may go in without an approval in an emergency. Managers name people;
 * whoever else changes the Safe can only take names away. */
export function BreakGlassFields({ value, onChange, problem, adds }: { value: BreakGlass; onChange: (v: BreakGlass) => void; problem?: string; adds: boolean }) {
  const { t } = useTranslation();
  const [q, setQ] = useState("");
  const [picked, setPicked] = useState("");
  const named = value.user_ids ?? [];
  const name = usePeople(named.length > 0);
  const { data } = useQuery({ queryKey: ["members", "list", "pick", q], queryFn: () => ok(api.GET("/api/v1/org/members", { params: { query: { q, limit: 50, status: "active" } } })), enabled: adds });
  const others = data?.filter((m) => !named.includes(m.user_id));
  // Who is the only one of that name is meant.
  const user = others?.some((m) => m.user_id === picked) ? picked : q && others?.length === 1 ? others[0]!.user_id : "";
  return (
    <FieldSet legend={t("safes.emergency.title")} hint={t("safes.emergency.hint")}>
      {problem && <p className="text-sm text-danger-text">{problem}</p>}
      {named.length > 0 && (
        <ul className="divide-y divide-line rounded-md border border-line" aria-label={t("safes.emergency.named")}>
          {named.map((id) => (
            <li key={id} className="flex items-center justify-between gap-3 px-3 py-1 text-sm">
              <span className="name min-w-0">{name(id)}</span>
              <IconButton label={t("safes.emergency.unname", { name: name(id) })} onClick={() => onChange({ ...value, user_ids: named.filter((x) => x !== id) })}>
                <Trash2 aria-hidden className="size-4" />
              </IconButton>
            </li>
          ))}
        </ul>
      )}
      {adds && (
        <div className="grid gap-3 sm:grid-cols-[1fr_1fr_auto] sm:items-end">
          <Field label={t("safes.findPerson")}>
            <Input type="search" value={q} onChange={(e) => setQ(e.target.value)} onKeyDown={(e) => e.key === "Enter" && e.preventDefault()} />
          </Field>
          <Field label={t("safes.person")}>
            <Select value={user} onChange={(e) => setPicked(e.target.value)}>
              <option value="">{t("safes.choose")}</option>
              {others?.map((m) => (
                <option key={m.user_id} value={m.user_id}>
                  {m.email}
                </option>
              ))}
            </Select>
          </Field>
          <Button
            disabled={!user}
            onClick={() => {
              onChange({ ...value, user_ids: [...named, user] });
              setPicked("");
              setQ("");
            }}
          >
            {t("safes.emergency.name")}
          </Button>
        </div>
      )}
    </FieldSet>
  );
}

/** The people named, as one line. */
export function Named({ safe }: { safe: Schemas["Safe"] }) {
  const { t } = useTranslation();
  const ids = safe.break_glass.user_ids ?? [];
  const name = usePeople(ids.length > 0);
  return <>{ids.length > 0 ? ids.map(name).join(", ") : t("safes.emergency.nobody")}</>;
}

/** What an emergency brings with it. */
export function Warning() {
  const { t } = useTranslation();
  return (
    <Alert tone="warn" title={t("safes.emergency.warning")}>
      <ul className="list-disc space-y-1 pl-4 text-left">
        {(["told", "rotated", "logged"] as const).map((w) => (
          <li key={w}>{t(`safes.emergency.warns.${w}`)}</li>
        ))}
      </ul>
    </Alert>
  );
}

/** The ways in for those whom the Safe names for emergencies. */
export function EmergencyCard({ safe }: { safe: Schemas["Safe"] }) {
  const { t } = useTranslation();
  const { me, role } = useWho();
  const [account, setAccount] = useState<{ id: string; name: string }>();
  const [made, setMade] = useState<Schemas["Checkout"]>();
  const named = !!safe.break_glass.user_ids?.includes(me.id) && role !== "auditor";
  const { data: targets, error } = useTargets(safe, named);
  if (!named) return null;
  const go = (resource: string, account: string) => location.assign(`/terminal?${new URLSearchParams({ safe: safe.id, resource, account, emergency: "true" })}`);
  return (
    <Card title={t("safes.emergency.title")}>
      <p className="mb-3 text-sm text-muted">{t(safe.locked ? "safes.emergency.locked" : "safes.emergency.lead")}</p>
      <Problem error={error} />
      {!safe.locked && (
        <ul className="divide-y divide-line">
          {targets?.map(({ resource: r, account: a }) => {
            const name = `${a.username} ${t("safes.at")} ${r.name}`;
            return (
              <li key={r.id + a.id} className="flex flex-wrap items-center justify-between gap-3 py-3 text-sm first:pt-0 last:pb-0">
                <span className="name min-w-0">{name}</span>
                <span className="flex flex-wrap gap-2">
                  {safe.checkout.enabled && (
                    <Button kind="danger" className="min-h-8 py-1" aria-label={t("safes.emergency.checkOutOf", { name })} onClick={() => setAccount({ id: a.id, name: a.name })}>
                      <Siren aria-hidden className="size-4" />
                      {t("safes.emergency.checkOut")}
                    </Button>
                  )}
                  <Button kind="danger" className="min-h-8 py-1" aria-label={t("safes.emergency.launchOf", { name })} onClick={() => go(r.id, a.id)}>
                    <SquareTerminal aria-hidden className="size-4" />
                    {t("safes.emergency.launch")}
                  </Button>
                </span>
              </li>
            );
          })}
        </ul>
      )}
      {account && <EmergencyCheckout safe={safe} account={account} onClose={() => setAccount(undefined)} done={setMade} />}
      {made && <Revealed checkout={made} name={made.account_name || made.username || made.account_id} onClose={() => setMade(undefined)} />}
    </Card>
  );
}

function EmergencyCheckout({ safe, account, onClose, done }: { safe: Schemas["Safe"]; account: { id: string; name: string }; onClose: () => void; done: (c: Schemas["Checkout"]) => void }) {
  const { t } = useTranslation();
  const [reason, setReason] = useState("");
  const [problems, setProblems] = useState<Record<string, string>>({});
  return (
    <ActDialog
      title={t("safes.emergency.checkOutOf", { name: account.name })}
      label={t("safes.emergency.checkOut")}
      kind="danger"
      disabled={!reason.trim()}
      onClose={onClose}
      onError={(e) => setProblems(e instanceof ApiError ? e.fields : {})}
      act={async () => {
        const c = await ok(api.POST("/api/v1/checkouts", { body: { safe_id: safe.id, account_id: account.id, reason: reason.trim(), emergency: true } }));
        done({ ...c, account_name: account.name });
      }}
    >
      <Warning />
      <Why value={reason} onChange={setReason} problem={problems.reason} />
    </ActDialog>
  );
}

/** The reason, without which there is no emergency. */
export function Why({ value, onChange, problem }: { value: string; onChange: (v: string) => void; problem?: string }) {
  const { t } = useTranslation();
  return (
    <Field label={t("safes.emergency.why")} hint={t("safes.emergency.whyHint")} error={problem}>
      <TextArea rows={2} maxLength={1000} required value={value} onChange={(e) => onChange(e.target.value)} autoFocus />
    </Field>
  );
}

/** The Safes that name the reader for emergencies. Without any there is no card. */
export function NamedSafes() {
  const { t } = useTranslation();
  const { role } = useWho();
  const { data } = useQuery({ queryKey: ["safes", "emergency"], enabled: role !== "auditor", queryFn: () => ok(api.GET("/api/v1/safes", { params: { query: { emergency: "true", limit: 100 } } })) });
  if (!data?.length) return null;
  return (
    <div className="mt-6">
      <Card title={t("safes.emergency.inOne")}>
        <p className="mb-3 text-sm text-muted">{t("safes.emergency.inOneLead")}</p>
        <ul className="divide-y divide-line text-sm">
          {data.map((s) => (
            <li key={s.id} className="py-2 first:pt-0 last:pb-0">
              <RowLink to={`/safes/${s.id}`}>{s.name}</RowLink>
              {s.description && <p className="name line-clamp-2 text-muted">{s.description}</p>}
            </li>
          ))}
        </ul>
      </Card>
    </div>
  );
}
