// Accounts of which no secret is kept: what is made instead, and by what words.
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, ok } from "../../api/client";
import { duration } from "../../format";
import { Button } from "../../ui/button";
import { Field, Input, Select, TextArea } from "../../ui/field";
import { A } from "../../ui/link";
import { Card, Fact, Facts } from "../../ui/page";
import { useName } from "../audit/names";
import type { CredentialIn } from "./form";
import { fits, lists, templates, type List } from "./statements";

type Ephemeral = NonNullable<CredentialIn["ephemeral"]>;

/** What is set, one entry per line: a statement that has several becomes one,
 * which databases read as the same. */
export function inLines(e: Ephemeral): Ephemeral {
  return { ...e, ...Object.fromEntries(lists.flatMap((f) => (e[f] ? [[f, e[f].map((s) => s.replace(/\s*[\r\n]+\s*/g, " "))]] : []))) };
}

/** What is made at each launch; no secret is kept. One entry per line. What
 * means nothing at the resource is not asked for, unless it is set. */
export function EphemeralFields({ value, onChange, problem, resource }: { value: Ephemeral; onChange: (v: Ephemeral) => void; problem: (f: string) => string | undefined; resource?: string | null }) {
  const { t } = useTranslation();
  const set = (change: Partial<Ephemeral>) => onChange({ ...value, ...change });
  const { data } = useQuery({ queryKey: ["accounts", "list", "all"], queryFn: () => ok(api.GET("/api/v1/accounts", { params: { query: {} } })) });
  const resources = useQuery({ queryKey: ["resources", "list", "all"], queryFn: () => ok(api.GET("/api/v1/resources", { params: { query: {} } })) });
  const type = resources.data?.find((r) => r.id === resource)?.type;
  const of = (f: string, n: number) => problem(f) ?? Array.from({ length: n }, (_, i) => problem(`${f}[${i}]`)).find(Boolean);
  const statements = fits("create_statements", type);
  const examples = templates.filter((x) => !type || x.type === type);
  return (
    <>
      <p className="text-sm text-muted">{t("accounts.ephemeralLead")}</p>
      <Field label={t("accounts.ephemeral.ttl_seconds")} error={problem("ttl_seconds")} optional>
        <Input type="number" min={30} max={type === "ssh" ? 900 : 86400} value={value.ttl_seconds ?? ""} onChange={(e) => set({ ttl_seconds: e.target.value ? Number(e.target.value) : undefined })} />
      </Field>
      {(fits("admin_account_id", type) || value.admin_account_id) && (
        <Field label={t("accounts.ephemeral.admin_account_id")} hint={t("accounts.adminHint")} error={problem("admin_account_id")} optional>
          <Select value={value.admin_account_id ?? ""} onChange={(e) => set({ admin_account_id: e.target.value || undefined })}>
            <option value="">{t("accounts.choose")}</option>
            {data?.map((a) => (
              <option key={a.id} value={a.id}>
                {a.name}
              </option>
            ))}
          </Select>
        </Field>
      )}
      {statements && (
        <div className="space-y-2 text-sm text-muted">
          <p>{t("accounts.statementsHint")}</p>
          <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-3 gap-y-1">
            {(["name", "password", "expires_at"] as const).map((p) => (
              <div key={p} className="contents">
                <dt>
                  <code className="text-xs">{`{{${p}}}`}</code>
                </dt>
                <dd>{t(`accounts.places.${p}`)}</dd>
              </div>
            ))}
          </dl>
          <p className="flex flex-wrap gap-2">
            {examples.map((x) => (
              <Button key={x.name} onClick={() => set({ create_statements: x.create, revoke_statements: x.revoke })}>
                {t("accounts.useTemplate", { name: x.name })}
              </Button>
            ))}
          </p>
        </div>
      )}
      {lists.map(
        (f) =>
          (fits(f, type) || value[f]) && (
            <Field key={f} label={t(`accounts.ephemeral.${f}`)} error={of(f, value[f]?.length ?? 0)} optional>
              <TextArea
                className="font-mono text-xs"
                rows={f.endsWith("statements") ? 4 : 2}
                value={value[f]?.join("\n") ?? ""}
                onChange={(e) => set({ [f]: e.target.value ? e.target.value.split("\n") : undefined })}
                onBlur={() => value[f] && set({ [f]: value[f].filter((line) => line.trim()) })}
              />
            </Field>
          ),
      )}
    </>
  );
}

/** What is made at each launch, for whoever sees the account. */
export function EphemeralCard({ value }: { value: Ephemeral }) {
  const { t } = useTranslation();
  const set = lists.filter((f: List) => (value[f]?.length ?? 0) > 0);
  return (
    <Card title={t("accounts.kinds.ephemeral")}>
      <div className="space-y-4">
        <Facts>
          <Fact label={t("accounts.lifetime")}>{value.ttl_seconds ? (value.ttl_seconds % 60 ? t("accounts.seconds", { count: value.ttl_seconds }) : duration(value.ttl_seconds)) : t("accounts.standard")}</Fact>
          {value.admin_account_id && (
            <Fact label={t("accounts.ephemeral.admin_account_id")}>
              <A to={`/accounts/${value.admin_account_id}`}>
                <Name id={value.admin_account_id} />
              </A>
            </Fact>
          )}
        </Facts>
        {set.map((f) => (
          <div key={f} className="text-sm">
            <h3 className="text-muted">{t(`accounts.shown.${f}`)}</h3>
            <pre tabIndex={0} aria-label={t(`accounts.shown.${f}`)} className="name mt-1 max-h-60 overflow-auto rounded-md bg-sunken p-3 font-mono text-xs break-all whitespace-pre-wrap">
              {value[f]!.join("\n")}
            </pre>
          </div>
        ))}
        {value.admin_account_id && (
          <p className="text-sm">
            <A to="/accounts/leases">{t("accounts.toLeases")}</A>
          </p>
        )}
      </div>
    </Card>
  );
}

function Name({ id }: { id: string }) {
  return <>{useName(id)}</>;
}
