import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../../api/client";
import { Button } from "../../ui/button";
import { ActDialog } from "../../ui/dialog";
import { Alert, Problem } from "../../ui/feedback";
import { Field, Input, TextArea } from "../../ui/field";
import { Time } from "../../ui/page";
import { words } from "../../ui/words";
import { linesOf } from "./words";

type LDAPIn = Schemas["LDAPIn"];

const names = ["urls", "ca", "bind_dn", "base_dn", "user_filter", "subject_attribute", "email_attribute", "name_attribute", "group_base_dn", "group_filter"] as const;

/** What may be written of a directory. */
export const ldapIn = (v: LDAPIn): LDAPIn => Object.fromEntries(names.map((n) => [n, v[n]])) as unknown as LDAPIn;

export const freshDirectory: LDAPIn = { urls: [], base_dn: "" };

interface Props {
  value: LDAPIn;
  onChange: (v: LDAPIn) => void;
  secret: string;
  onSecret: (v: string) => void;
  problems: Record<string, string>;
  kept: boolean;
}

/** The fields that only a directory has. */
export function LDAPFields({ value, onChange, secret, onSecret, problems, kept }: Props) {
  const { t } = useTranslation();
  const set = (change: Partial<LDAPIn>) => onChange({ ...value, ...change });
  const text = (name: Exclude<(typeof names)[number], "urls" | "ca">, placeholder?: string, required?: boolean) => (
    <Field label={t(`sso.ldap.${name}`)} hint={name === "subject_attribute" ? t("sso.ldap.subjectHint") : name === "group_base_dn" ? t("sso.ldap.groupHint") : undefined} error={problems[`ldap.${name}`]} optional={!required}>
      <Input value={value[name] ?? ""} onChange={(e) => set({ [name]: e.target.value })} placeholder={placeholder} required={required} spellCheck={false} autoComplete="off" />
    </Field>
  );
  return (
    <>
      <Field label={t("sso.ldap.urls")} hint={t("sso.ldap.urlsHint")} error={problems["ldap.urls"] ?? problems["ldap.urls[0]"] ?? problems["ldap.urls[1]"]}>
        <TextArea rows={2} value={value.urls.join("\n")} onChange={(e) => set({ urls: e.target.value === "" ? [] : e.target.value.split("\n") })} onBlur={(e) => set({ urls: linesOf(e.target.value) })} placeholder="ldaps://dc1.example.com" required spellCheck={false} />
      </Field>
      {text("base_dn", "ou=people,dc=example,dc=com", true)}
      {text("bind_dn", "cn=vaultpam,dc=example,dc=com")}
      <Field label={t("sso.ldap.password")} hint={t(kept ? "sso.ldap.passwordKept" : "sso.ldap.passwordHint")} error={problems.client_secret} optional>
        <Input type="password" autoComplete="off" value={secret} onChange={(e) => onSecret(e.target.value)} />
      </Field>
      <Field label={t("sso.ldap.ca")} hint={t("sso.ldap.caHint")} error={problems["ldap.ca"]} optional>
        <TextArea rows={3} className="font-mono" value={value.ca ?? ""} onChange={(e) => set({ ca: e.target.value })} spellCheck={false} />
      </Field>
      {text("user_filter", "(|(uid={username})(mail={username}))")}
      {text("subject_attribute", "entryUUID")}
      {text("email_attribute", "mail")}
      {text("name_attribute", "displayName")}
      {text("group_base_dn", "ou=groups,dc=example,dc=com")}
      {text("group_filter", "(|(member={dn})(uniqueMember={dn}))")}
    </>
  );
}

/** When a directory was last read, and what was wrong then. */
export function LDAPFacts({ provider }: { provider: Schemas["SSOProvider"] }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [busy, setBusy] = useState(false);
  const [asking, setAsking] = useState(false);
  const [error, setError] = useState<unknown>();
  const [read, setRead] = useState(provider.ldap!);
  const params = { path: { id: provider.id } };
  const sync = async (all: boolean) => {
    const after = await ok(api.POST("/api/v1/org/sso/providers/{id}/sync", { params, body: { all } }));
    setRead(after.ldap!);
    await client.invalidateQueries({ queryKey: ["members"] });
  };
  const now = () => {
    setBusy(true);
    setError(undefined);
    sync(false)
      .catch(setError)
      .finally(() => setBusy(false));
  };
  return (
    <div className="space-y-3">
      <Alert
        tone={read.problem ? "warn" : "info"}
        title={t("sso.ldap.reads")}
        action={
          <Button busy={busy} disabled={!provider.enabled} onClick={now}>
            {t("sso.ldap.sync")}
          </Button>
        }
      >
        {read.read_at ? (
          <>
            {t("sso.ldap.readAt")} <Time at={read.read_at} />.
          </>
        ) : (
          t("sso.ldap.notRead")
        )}{" "}
        {read.problem && words(t, read.problem)}
      </Alert>
      {read.problem.includes("nobody was suspended") && (
        <Button kind="danger" onClick={() => setAsking(true)}>
          {t("sso.ldap.syncAll")}
        </Button>
      )}
      <Problem error={error} />
      {asking && (
        <ActDialog title={t("sso.ldap.syncAll")} label={t("sso.ldap.syncAll")} kind="danger" onClose={() => setAsking(false)} act={() => sync(true)}>
          <p className="text-sm text-muted">{t("sso.ldap.syncAllLead")}</p>
        </ActDialog>
      )}
    </div>
  );
}
