import { useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../../api/client";
import { Button, CopyButton } from "../../ui/button";
import { ConfirmByName } from "../../ui/dialog";
import { Alert } from "../../ui/feedback";
import { VersionedForm } from "../../ui/form";
import { PageHead } from "../../ui/page";
import { useToast } from "../../ui/toast";
import { ProviderFields, type ProviderIn } from "./form";
import { LDAPFacts, ldapIn } from "./ldap";
import { SAMLFacts, samlIn } from "./saml";

type Provider = Schemas["SSOProvider"] & { client_secret?: string };
const fields = ["type", "name", "issuer", "client_id", "client_secret", "scopes", "allowed_domains", "group_claim", "rules", "create_users", "default_role", "trust_mfa", "enabled", "saml", "ldap"] as const;

export default function EditProvider() {
  const { t } = useTranslation();
  const { id } = useParams({ strict: false }) as { id: string };
  const client = useQueryClient();
  const navigate = useNavigate();
  const toast = useToast();
  const [deleting, setDeleting] = useState(false);
  return (
    <VersionedForm<Provider, ProviderIn>
      back="/organization/sso"
      fields={fields}
      names={(f) => (f === "client_secret" ? t("sso.clientSecret") : f === "rules" ? t("sso.rules") : t(`sso.fields.${f}`))}
      values={(f, v) => {
        if (typeof v === "boolean") return t(v ? "sso.on" : "sso.off");
        if (f === "saml") return (v as Schemas["SAML"]).metadata_url || t("sso.metadataByFile");
        if (f === "ldap") return (v as Schemas["LDAP"]).urls.join(", ");
        if (f === "rules") return (v as Schemas["SSORule"][]).map((r) => r.value).join(", ") || "–";
        return Array.isArray(v) ? v.join(", ") || "–" : undefined;
      }}
      read={() => api.GET("/api/v1/org/sso/providers/{id}", { params: { path: { id } } })}
      write={(patch, version) => api.PATCH("/api/v1/org/sso/providers/{id}", { params: { path: { id }, header: { "If-Match": version } }, body: { ...patch, ...(patch.saml && { saml: samlIn(patch.saml) }), ...(patch.ldap && { ldap: ldapIn(patch.ldap) }) } as ProviderIn })}
      saved={async () => {
        await client.invalidateQueries({ queryKey: ["sso"] });
        toast(t("sso.saved"));
        await navigate({ to: "/organization/sso" as never });
      }}
      head={(p) => (
        <>
          <PageHead title={p.name} parent={{ to: "/organization/sso", label: t("sso.title") }} actions={<Button onClick={() => setDeleting(true)}>{t("sso.delete")}</Button>} />
          <div className="mb-6 max-w-2xl">
            {p.ldap ? (
              <LDAPFacts provider={p} />
            ) : p.saml ? (
              <SAMLFacts saml={p.saml} acs={p.callback_url} />
            ) : (
              <Alert tone="info" title={t("sso.callback")} action={<CopyButton text={p.callback_url} />}>
                <span className="name">{p.callback_url}</span>
              </Alert>
            )}
          </div>
          {deleting && (
            <ConfirmByName
              title={`${t("sso.delete")}: ${p.name}`}
              label={t("sso.delete")}
              name={p.name}
              onClose={() => setDeleting(false)}
              act={async () => {
                await ok(api.DELETE("/api/v1/org/sso/providers/{id}", { params: { path: { id } } }));
                await navigate({ to: "/organization/sso" as never });
                await client.invalidateQueries({ queryKey: ["sso"] });
              }}
            >
              {t("sso.deleteLead")}
            </ConfirmByName>
          )}
        </>
      )}
    >
      {(value, onChange, problems, provider) => <ProviderFields value={value} onChange={onChange} problems={problems} kept={provider} />}
    </VersionedForm>
  );
}
