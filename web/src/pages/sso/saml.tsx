import { useState } from "react";
import { useTranslation } from "react-i18next";
import { type Schemas } from "../../api/client";
import { CopyButton } from "../../ui/button";
import { Alert } from "../../ui/feedback";
import { Field, Input, Select, TextArea } from "../../ui/field";
import { Fact, Facts } from "../../ui/page";
import { words } from "../../ui/words";
import { linesOf } from "./words";

type SAML = Schemas["SAML"];
type SAMLIn = Schemas["SAMLIn"];

/** What may be written of a provider of SAML. */
export const samlIn = ({ metadata_url, subject_attribute, email_attribute, name_attribute, mfa_contexts, metadata }: SAMLIn): SAMLIn => ({ metadata_url, subject_attribute, email_attribute, name_attribute, mfa_contexts, metadata });

interface Props {
  value: SAMLIn;
  onChange: (v: SAMLIn) => void;
  problems: Record<string, string>;
  kept?: SAML;
}

/** The fields that only a provider of SAML has. */
export function SAMLFields({ value, onChange, problems, kept }: Props) {
  const { t } = useTranslation();
  const set = (change: Partial<SAMLIn>) => onChange({ ...value, ...change });
  const [byFile, setByFile] = useState(!!kept && !kept.metadata_url);
  return (
    <>
      <Field label={t("sso.metadataFrom")}>
        <Select
          value={byFile ? "file" : "url"}
          onChange={(e) => {
            setByFile(e.target.value === "file");
            set(e.target.value === "file" ? { metadata_url: "" } : { metadata: undefined });
          }}
        >
          <option value="url">{t("sso.metadataByURL")}</option>
          <option value="file">{t("sso.metadataByFile")}</option>
        </Select>
      </Field>
      {byFile ? (
        <Field label={t("sso.metadataFile")} hint={t(kept ? "sso.metadataKept" : "sso.metadataFileHint")} error={problems["saml.metadata"]}>
          <Input
            type="file"
            accept=".xml,application/xml,text/xml,application/samlmetadata+xml"
            onChange={(e) => {
              const file = e.target.files?.[0];
              if (file) void file.text().then((metadata) => set({ metadata }));
            }}
          />
        </Field>
      ) : (
        <Field label={t("sso.metadataURL")} hint={t("sso.metadataURLHint")} error={problems["saml.metadata_url"] ?? problems["saml.metadata"]}>
          <Input type="url" value={value.metadata_url ?? ""} onChange={(e) => set({ metadata_url: e.target.value.trim() })} />
        </Field>
      )}
      <Field label={t("sso.subjectAttribute")} hint={t("sso.subjectHint")} error={problems["saml.subject_attribute"]} optional>
        <Input value={value.subject_attribute ?? ""} onChange={(e) => set({ subject_attribute: e.target.value })} />
      </Field>
      <Field label={t("sso.emailAttribute")} hint={t("sso.commonHint")} error={problems["saml.email_attribute"]} optional>
        <Input value={value.email_attribute ?? ""} onChange={(e) => set({ email_attribute: e.target.value })} />
      </Field>
      <Field label={t("sso.nameAttribute")} hint={t("sso.commonHint")} error={problems["saml.name_attribute"]} optional>
        <Input value={value.name_attribute ?? ""} onChange={(e) => set({ name_attribute: e.target.value })} />
      </Field>
      <Field label={t("sso.mfaContexts")} hint={t("sso.mfaContextsHint")} error={problems["saml.mfa_contexts"] ?? problems["saml.mfa_contexts[0]"]} optional>
        <TextArea rows={2} value={(value.mfa_contexts ?? []).join("\n")} onChange={(e) => set({ mfa_contexts: e.target.value === "" ? [] : e.target.value.split("\n") })} onBlur={(e) => set({ mfa_contexts: linesOf(e.target.value) })} />
      </Field>
    </>
  );
}

/** What the provider is to be given, and what it has said of itself. */
export function SAMLFacts({ saml, acs }: { saml: SAML; acs: string }) {
  const { t, i18n } = useTranslation();
  const day = (at: string) => new Date(at).toLocaleDateString(i18n.language, { dateStyle: "medium" });
  return (
    <Alert tone="info" title={t("sso.samlGive")}>
      <Facts>
        <Fact label={t("sso.entityID")}>
          <span className="name">{saml.entity_id}</span> <CopyButton text={saml.entity_id} />
        </Fact>
        <Fact label={t("sso.acs")}>
          <span className="name">{acs}</span> <CopyButton text={acs} />
        </Fact>
        <Fact label={t("sso.ourMetadata")}>
          <a href={new URL(saml.entity_id, location.href).pathname} download="vaultpam-metadata.xml" className="text-link underline">
            {t("sso.download")}
          </a>
        </Fact>
        <Fact label={t("sso.certificates")}>
          <ul>
            {saml.certificates.map((c) => (
              <li key={c.sha256}>
                <span className="name font-mono text-xs">{c.sha256}</span> {t("sso.until", { date: day(c.not_after) })}
              </li>
            ))}
          </ul>
        </Fact>
      </Facts>
      {saml.problem && <p className="mt-2 text-danger-text">{words(t, saml.problem)}</p>}
    </Alert>
  );
}
