import { useTranslation } from "react-i18next";
import { api, type Schemas } from "../../api/client";
import { useRole, useSession } from "../../api/session";
import { duration } from "../../format";
import { Checkbox, Field, FieldSet, Input } from "../../ui/field";
import { VersionedForm } from "../../ui/form";
import { PageHead } from "../../ui/page";
import { useToast } from "../../ui/toast";

type Org = Schemas["Org"];
type OrgIn = Schemas["OrgIn"];

const fields = ["name", "idle_timeout_seconds", "recording_retention_days", "mfa_required", "admins_see_all", "dual_control"] as const;

export default function OrganizationSettings() {
  const { t } = useTranslation();
  const { retry } = useSession();
  const toast = useToast();
  const owner = useRole("owner");
  return (
    <VersionedForm<Org, OrgIn>
      fields={fields}
      names={(f) => t(`organization.fields.${f}`)}
      values={(f, v) => {
        if (typeof v === "boolean") return t(`safes.onOff.${v ? "on" : "off"}`);
        return f === "idle_timeout_seconds" ? duration(v as number) : f === "recording_retention_days" ? duration((v as number) * 86400) : undefined;
      }}
      read={() => api.GET("/api/v1/org")}
      write={(patch, version) => api.PATCH("/api/v1/org", { params: { header: { "If-Match": version } }, body: patch as OrgIn })}
      saved={async () => {
        toast(t("organization.saved"));
        retry();
      }}
      head={() => <PageHead title={t("organization.title")} lead={t("organization.lead")} />}
    >
      {(value, onChange, problems) => {
        const set = (change: Partial<OrgIn>) => onChange({ ...value, ...change });
        return (
          <>
            <Field label={t("organization.fields.name")} error={problems.name}>
              <Input value={value.name} onChange={(e) => set({ name: e.target.value })} />
            </Field>
            <Field label={t("organization.idle")} hint={t("organization.idleHint")} error={problems.idle_timeout_seconds}>
              <Input type="number" min={1} value={Math.round(value.idle_timeout_seconds / 60)} onChange={(e) => set({ idle_timeout_seconds: e.target.valueAsNumber * 60 })} />
            </Field>
            <Field label={t("organization.retention")} hint={t("organization.retentionHint")} error={problems.recording_retention_days}>
              <Input type="number" min={7} max={365} value={value.recording_retention_days} onChange={(e) => set({ recording_retention_days: e.target.valueAsNumber })} />
            </Field>
            <FieldSet legend={t("organization.rules")} hint={owner ? undefined : t("organization.ownersOnly")}>
              <Checkbox disabled={!owner} label={t("organization.fields.mfa_required")} hint={t("organization.mfaHint")} checked={value.mfa_required} onChange={(e) => set({ mfa_required: e.target.checked })} />
              <Checkbox disabled={!owner} label={t("organization.fields.dual_control")} hint={t("organization.dualHint")} checked={value.dual_control} onChange={(e) => set({ dual_control: e.target.checked })} />
              <Checkbox disabled={!owner} label={t("organization.fields.admins_see_all")} hint={t("organization.seeAllHint")} checked={value.admins_see_all} onChange={(e) => set({ admins_see_all: e.target.checked })} />
            </FieldSet>
          </>
        );
      }}
    </VersionedForm>
  );
}
