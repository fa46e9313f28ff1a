import { useQuery } from "@tanstack/react-query";
import { Plus, Trash2 } from "lucide-react";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../../api/client";
import { Button, IconButton } from "../../ui/button";
import { Checkbox, Field, FieldSet, Input, Select, TextArea } from "../../ui/field";
import { words } from "../../ui/words";
import { freshDirectory, LDAPFields } from "./ldap";
import { SAMLFields } from "./saml";
import { linesOf } from "./words";

export type ProviderIn = Schemas["SSOProviderIn"];
type Rule = Schemas["SSORule"];

export const fresh: ProviderIn = { type: "oidc", name: "", issuer: "", client_id: "", scopes: ["profile", "email"], allowed_domains: [], group_claim: "", rules: [], create_users: false, default_role: "operator", trust_mfa: false, enabled: true };

const types = ["oidc", "saml", "ldap"] as const;
const roles = ["admin", "policy_manager", "operator", "auditor"] as const;

interface Props {
  value: ProviderIn;
  onChange: (v: ProviderIn) => void;
  problems: Record<string, string>;
  /** What is kept already, when it is changed. */
  kept?: Schemas["SSOProvider"];
}

/** The fields of a provider, for making and for changing one. */
export function ProviderFields({ value, onChange, problems, kept }: Props) {
  const { t } = useTranslation();
  const set = (change: Partial<ProviderIn>) => onChange({ ...value, ...change });
  const saml = value.type === "saml";
  const ldap = value.type === "ldap";
  const rules = value.rules ?? [];
  const rule = (i: number, change: Partial<Rule>) => set({ rules: rules.map((r, j) => (i === j ? { ...r, ...change } : r)) });
  const groups = useQuery({ queryKey: ["groups", "list", "all"], queryFn: () => ok(api.GET("/api/v1/org/groups", { params: { query: {} } })) });
  const fed = groups.data?.filter((g) => g.source === "claim") ?? [];
  return (
    <div className="space-y-8">
      <FieldSet legend={t("sso.provider")}>
        <Field label={t("sso.fields.name")} hint={t("sso.nameHint")} error={problems.name}>
          <Input value={value.name} onChange={(e) => set({ name: e.target.value })} maxLength={64} required autoFocus />
        </Field>
        {!kept && (
          <Field label={t("sso.type")} hint={t("sso.typeHint")} error={problems.type}>
            <Select value={value.type} onChange={(e) => set({ type: e.target.value as ProviderIn["type"], ldap: e.target.value === "ldap" ? freshDirectory : undefined })}>
              {types.map((x) => (
                <option key={x} value={x}>
                  {t(`sso.types.${x}`)}
                </option>
              ))}
            </Select>
          </Field>
        )}
        {value.type === "oidc" && (
          <>
            <Field label={t("sso.fields.issuer")} hint={t("sso.issuerHint")} error={problems.issuer}>
              <Input type="url" value={value.issuer} onChange={(e) => set({ issuer: e.target.value.trim() })} required />
            </Field>
            <Field label={t("sso.fields.client_id")} error={problems.client_id}>
              <Input value={value.client_id} onChange={(e) => set({ client_id: e.target.value })} required />
            </Field>
            <Field label={t("sso.clientSecret")} hint={t(kept?.has_secret ? "sso.secretKept" : "sso.secretHint")} error={problems.client_secret} optional>
              <Input type="password" autoComplete="off" value={value.client_secret ?? ""} onChange={(e) => set({ client_secret: e.target.value === "" ? undefined : e.target.value })} />
            </Field>
            <Field label={t("sso.fields.scopes")} hint={t("sso.scopesHint")} error={problems.scopes ?? problems["scopes[0]"]} optional>
              <Input value={(value.scopes ?? []).join(" ")} onChange={(e) => set({ scopes: e.target.value.split(" ") })} onBlur={() => set({ scopes: (value.scopes ?? []).filter((s) => s !== "") })} />
            </Field>
          </>
        )}
        {ldap && (
          <LDAPFields
            value={value.ldap ?? freshDirectory}
            onChange={(v) => set({ ldap: v })}
            secret={value.client_secret ?? ""}
            onSecret={(v) => set({ client_secret: v === "" ? undefined : v })}
            problems={problems}
            kept={!!kept?.has_secret}
          />
        )}
        {saml && <SAMLFields value={value.saml ?? {}} onChange={(v) => set({ saml: v })} problems={problems} kept={kept?.saml} />}
        <Checkbox label={t("sso.fields.enabled")} checked={!!value.enabled} onChange={(e) => set({ enabled: e.target.checked })} />
      </FieldSet>
      <FieldSet legend={t("sso.people")}>
        <Field label={t("sso.fields.allowed_domains")} hint={t(saml || ldap ? "sso.samlDomainsHint" : "sso.domainsHint")} error={problems.allowed_domains ?? problems["allowed_domains[0]"]} optional>
          <TextArea rows={2} value={(value.allowed_domains ?? []).join("\n")} onChange={(e) => set({ allowed_domains: e.target.value === "" ? [] : e.target.value.split("\n") })} onBlur={(e) => set({ allowed_domains: linesOf(e.target.value) })} />
        </Field>
        <Checkbox label={t("sso.fields.create_users")} hint={t("sso.createHint")} checked={!!value.create_users} onChange={(e) => set({ create_users: e.target.checked })} />
        <Field label={t("sso.fields.default_role")} error={problems.default_role}>
          <Select value={value.default_role} onChange={(e) => set({ default_role: e.target.value as ProviderIn["default_role"] })}>
            {roles.map((r) => (
              <option key={r} value={r}>
                {t(`members.roles.${r}`)}
              </option>
            ))}
          </Select>
        </Field>
        {!ldap && <Checkbox label={t("sso.fields.trust_mfa")} hint={t("sso.mfaHint")} checked={!!value.trust_mfa} onChange={(e) => set({ trust_mfa: e.target.checked })} />}
      </FieldSet>
      <FieldSet legend={t("sso.rules")} hint={t("sso.rulesHint")}>
        {!ldap && (
          <Field label={t(saml ? "sso.samlGroups" : "sso.fields.group_claim")} hint={t(saml ? "sso.samlGroupsHint" : "sso.claimHint")} error={problems.group_claim} optional>
            <Input value={value.group_claim ?? ""} onChange={(e) => set({ group_claim: e.target.value })} placeholder={saml ? undefined : "groups"} />
          </Field>
        )}
        {rules.map((r, i) => (
          <div key={i} role="group" aria-label={`${t("sso.rule")} ${i + 1}`} className="space-y-3 border-l-2 border-line pl-4">
            <Field label={t(ldap ? "sso.ldap.value" : saml ? "sso.samlValue" : "sso.value")} error={problems[`rules[${i}].value`] ?? problems[`rules[${i}]`]}>
              <Input value={r.value} onChange={(e) => rule(i, { value: e.target.value })} />
            </Field>
            <Field label={t("sso.role")} error={problems[`rules[${i}].role`]} optional>
              <Select value={r.role ?? ""} onChange={(e) => rule(i, { role: (e.target.value || undefined) as Rule["role"] })}>
                <option value="">{t("sso.noRole")}</option>
                {roles.map((x) => (
                  <option key={x} value={x}>
                    {t(`members.roles.${x}`)}
                  </option>
                ))}
              </Select>
            </Field>
            {fed.length > 0 ? (
              <div role="group" aria-label={t("sso.groups")} className="space-y-2">
                <p className="text-sm font-medium">{t("sso.groups")}</p>
                {fed.map((g) => (
                  <Checkbox
                    key={g.id}
                    label={<span className="name">{g.name}</span>}
                    checked={r.group_ids?.includes(g.id) ?? false}
                    onChange={(e) => rule(i, { group_ids: e.target.checked ? [...(r.group_ids ?? []), g.id] : (r.group_ids ?? []).filter((x) => x !== g.id) })}
                  />
                ))}
              </div>
            ) : (
              <p className="text-sm text-muted">{t("sso.noGroups")}</p>
            )}
            <IconButton label={`${t("sso.removeRule")} ${i + 1}`} onClick={() => set({ rules: rules.filter((_, j) => j !== i) })}>
              <Trash2 aria-hidden className="size-4" />
            </IconButton>
          </div>
        ))}
        {problems.rules && <p className="text-sm text-danger-text">{words(t, problems.rules)}</p>}
        <Button onClick={() => set({ rules: [...rules, { value: "" }] })}>
          <Plus aria-hidden className="size-4" />
          {t("sso.addRule")}
        </Button>
      </FieldSet>
    </div>
  );
}
