import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../../api/client";
import { Field, FieldSet, Input, Select, TextArea } from "../../ui/field";
import { EphemeralFields } from "./ephemeral";

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
export function CredentialFields({ value, onChange, problems, resource }: { value: CredentialIn; onChange: (v: CredentialIn) => void; problems: Record<string, string>; resource?: string | null }) {
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
        <EphemeralFields value={value.ephemeral ?? {}} resource={resource} onChange={(ephemeral) => set({ ephemeral })} problem={(f) => problem(`ephemeral.${f}`)} />
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
