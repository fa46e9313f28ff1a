import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../../api/client";
import { Field, FieldSet, Input, Select, TextArea } from "../../ui/field";

export type AccountIn = Schemas["AccountIn"];
export type CredentialIn = Schemas["CredentialIn"];

export const fresh: AccountIn = { name: "", username: "" };

/** The choice of a domain account, which is of no resource. */
const domain = "domain";

export function AccountFields({ value, onChange, problems }: { value: AccountIn; onChange: (v: AccountIn) => void; problems: Record<string, string> }) {
  const { t } = useTranslation();
  const { data } = useQuery({ queryKey: ["resources", "list", "all"], queryFn: () => ok(api.GET("/api/v1/resources", { params: { query: {} } })) });
  const set = (change: Partial<AccountIn>) => onChange({ ...value, ...change });
  return (
    <FieldSet legend={t("accounts.what")}>
      <Field label={t("accounts.name")} error={problems.name}>
        <Input value={value.name} onChange={(e) => set({ name: e.target.value })} required autoFocus />
      </Field>
      <Field label={t("accounts.username")} hint={t("accounts.usernameHint")} error={problems.username}>
        <Input value={value.username} onChange={(e) => set({ username: e.target.value })} autoComplete="off" required />
      </Field>
      <Field label={t("accounts.resource")} hint={t("accounts.resourceHint")} error={problems.resource_id}>
        <Select value={value.resource_id === undefined ? "" : (value.resource_id ?? domain)} onChange={(e) => set({ resource_id: (e.target.value === domain ? null : e.target.value) as never })}>
          {value.resource_id === undefined && <option value="">{t("accounts.choose")}</option>}
          {data?.map((r) => (
            <option key={r.id} value={r.id}>
              {r.name}
            </option>
          ))}
          <option value={domain}>{t("accounts.domain")}</option>
        </Select>
      </Field>
    </FieldSet>
  );
}

export const kinds = ["password", "ssh_key", "ssh_certificate", "token", "database", "tls_client", "kubernetes_token", "ephemeral"] as const;

const withKey: readonly string[] = ["ssh_key", "ssh_certificate", "tls_client"];

/** Whether there is something to store. */
export const given = (c: CredentialIn) => !!c.value || !!c.private_key || c.kind === "ephemeral";

/** A secret on its way into the vault. It is not shown again, here or anywhere. */
export function CredentialFields({ value, onChange, problems }: { value: CredentialIn; onChange: (v: CredentialIn) => void; problems: Record<string, string> }) {
  const { t } = useTranslation();
  const problem = (f: string) => problems[f] ?? problems[`credential.${f}`];
  const set = (change: Partial<CredentialIn>) => onChange({ ...value, ...change });
  return (
    <FieldSet legend={t("accounts.credential")} hint={t("accounts.credentialHint")}>
      <Field label={t("accounts.kind")} error={problem("kind")}>
        <Select value={value.kind} onChange={(e) => onChange({ kind: e.target.value as CredentialIn["kind"] })}>
          {kinds.map((k) => (
            <option key={k} value={k}>
              {t(`accounts.kinds.${k}`)}
            </option>
          ))}
        </Select>
      </Field>
      {value.kind === "ephemeral" ? (
        <EphemeralFields value={value.ephemeral ?? {}} onChange={(ephemeral) => set({ ephemeral })} problem={(f) => problem(`ephemeral.${f}`)} />
      ) : withKey.includes(value.kind) ? (
        <>
          <Field label={t("accounts.privateKey")} hint={t("accounts.privateKeyHint")} error={problem("private_key")}>
            <TextArea className="font-mono text-xs" rows={6} autoComplete="off" value={value.private_key ?? ""} onChange={(e) => set({ private_key: e.target.value })} />
          </Field>
          <Field label={t("accounts.passphrase")} error={problem("passphrase")} optional>
            <Input type="password" autoComplete="new-password" value={value.passphrase ?? ""} onChange={(e) => set({ passphrase: e.target.value || undefined })} />
          </Field>
          {value.kind !== "ssh_key" && (
            <Field label={t("accounts.certificate")} hint={t(value.kind === "tls_client" ? "accounts.certificateTLSHint" : "accounts.certificateSSHHint")} error={problem("certificate")}>
              <TextArea className="font-mono text-xs" rows={4} autoComplete="off" value={value.certificate ?? ""} onChange={(e) => set({ certificate: e.target.value || undefined })} />
            </Field>
          )}
        </>
      ) : (
        <Field label={t(value.kind === "password" || value.kind === "database" ? "accounts.password" : "accounts.token")} error={problem("value")}>
          <Input type="password" autoComplete="new-password" value={value.value ?? ""} onChange={(e) => set({ value: e.target.value })} />
        </Field>
      )}
    </FieldSet>
  );
}

type Ephemeral = NonNullable<CredentialIn["ephemeral"]>;

const lists = ["principals", "create_statements", "revoke_statements", "rules"] as const;

/** What is made at each launch; no secret is kept. One entry per line. */
function EphemeralFields({ value, onChange, problem }: { value: Ephemeral; onChange: (v: Ephemeral) => void; problem: (f: string) => string | undefined }) {
  const { t } = useTranslation();
  const set = (change: Partial<Ephemeral>) => onChange({ ...value, ...change });
  const { data } = useQuery({ queryKey: ["accounts", "list", "all"], queryFn: () => ok(api.GET("/api/v1/accounts", { params: { query: {} } })) });
  const of = (f: string, n: number) => problem(f) ?? Array.from({ length: n }, (_, i) => problem(`${f}[${i}]`)).find(Boolean);
  return (
    <>
      <p className="text-sm text-muted">{t("accounts.ephemeralLead")}</p>
      <Field label={t("accounts.ephemeral.ttl_seconds")} error={problem("ttl_seconds")} optional>
        <Input type="number" min={30} max={86400} value={value.ttl_seconds ?? ""} onChange={(e) => set({ ttl_seconds: e.target.value ? Number(e.target.value) : undefined })} />
      </Field>
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
      {lists.map((f) => (
        <Field key={f} label={t(`accounts.ephemeral.${f}`)} error={of(f, value[f]?.length ?? 0)} optional>
          <TextArea
            className="font-mono text-xs"
            rows={2}
            value={value[f]?.join("\n") ?? ""}
            onChange={(e) => set({ [f]: e.target.value ? e.target.value.split("\n") : undefined })}
            onBlur={() => value[f] && set({ [f]: value[f].filter((line) => line.trim()) })}
          />
        </Field>
      ))}
    </>
  );
}
