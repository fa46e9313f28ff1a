import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { Plus, Trash2 } from "lucide-react";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { answer, api, ok, type Schemas } from "../../api/client";
import { Button, CopyButton, IconButton } from "../../ui/button";
import { ConfirmByName } from "../../ui/dialog";
import { Alert, Loading, Problem } from "../../ui/feedback";
import { Checkbox, Field, FieldSet, Input, Select, TextArea } from "../../ui/field";
import { EditForm } from "../../ui/form";
import { PageHead } from "../../ui/page";
import { words } from "../../ui/words";
import { linesOf } from "./words";

type RuleIn = Schemas["WorkloadRuleIn"];
const fresh: RuleIn = { name: "", issuer: "", conditions: [{ claim: "sub", value: "" }], user_id: "", scopes: ["safes:read", "credentials:checkout"], ttl_seconds: 900, enabled: true };

/** A rule by which programs get a token: a new one, or one that is there. */
export default function ProgramRule() {
  const { t } = useTranslation();
  const { id } = useParams({ strict: false }) as { id?: string };
  const client = useQueryClient();
  const navigate = useNavigate();
  const [value, setValue] = useState<RuleIn | undefined>(id ? undefined : fresh);
  const [deleting, setDeleting] = useState(false);
  const set = (change: Partial<RuleIn>) => setValue((v) => ({ ...v!, ...change }));
  const settings = useQuery({ queryKey: ["sso", "settings"], queryFn: () => ok(api.GET("/api/v1/org/sso")) });
  const members = useQuery({ queryKey: ["members", "list", "all"], queryFn: () => ok(api.GET("/api/v1/org/members", { params: { query: {} } })) });
  const { data: read, error } = useQuery({
    queryKey: ["sso", "programs", id],
    enabled: !!id,
    queryFn: async () => {
      const { data, response } = await answer(api.GET("/api/v1/org/sso/workload-rules/{id}", { params: { path: { id: id! } } }));
      return { rule: data, version: response.headers.get("ETag") ?? "" };
    },
  });
  useEffect(() => {
    if (!read || value) return;
    const { name, issuer, conditions, user_id, scopes, ttl_seconds, enabled } = read.rule;
    setValue({ name, issuer, conditions, user_id, scopes, ttl_seconds, enabled });
  }, [read, value]);
  const back = async () => {
    await navigate({ to: "/organization/sso" as never });
    await client.invalidateQueries({ queryKey: ["sso"] });
  };
  const title = id ? (read?.rule.name ?? "") : t("sso.addProgram");
  const machines = members.data?.filter((m) => m.service_user) ?? [];
  if (error) return <Problem error={error} />;
  if (!value) return <Loading />;
  const condition = (i: number, change: Partial<Schemas["WorkloadCondition"]>) => set({ conditions: value.conditions.map((c, j) => (i === j ? { ...c, ...change } : c)) });
  return (
    <>
      <PageHead title={title} parent={{ to: "/organization/sso", label: t("sso.title") }} lead={t("sso.programLead")} actions={id && <Button onClick={() => setDeleting(true)}>{t("sso.delete")}</Button>} />
      {settings.data && (
        <div className="mb-6 max-w-2xl">
          <Alert tone="info" title={t("sso.audience")} action={<CopyButton text={settings.data.workload_audience} />}>
            <span className="name">{settings.data.workload_audience}</span>
          </Alert>
        </div>
      )}
      <EditForm
        back="/organization/sso"
        label={t("ui.save")}
        save={async () => {
          if (id) await ok(api.PATCH("/api/v1/org/sso/workload-rules/{id}", { params: { path: { id }, header: { "If-Match": read?.version } }, body: value }));
          else await ok(api.POST("/api/v1/org/sso/workload-rules", { body: value }));
          await back();
        }}
      >
        {(problems) => (
          <>
            <FieldSet legend={t("sso.program")}>
              <Field label={t("sso.fields.name")} error={problems.name}>
                <Input value={value.name} onChange={(e) => set({ name: e.target.value })} maxLength={64} required autoFocus />
              </Field>
              <Field label={t("sso.fields.issuer")} hint={t("sso.issuerHint")} error={problems.issuer}>
                <Input type="url" value={value.issuer} onChange={(e) => set({ issuer: e.target.value.trim() })} required />
              </Field>
              {value.conditions.map((c, i) => (
                <div key={i} role="group" aria-label={`${t("sso.condition")} ${i + 1}`} className="flex flex-wrap items-end gap-3">
                  <Field label={t("sso.claim")} error={problems[`conditions[${i}].claim`]}>
                    <Input value={c.claim} onChange={(e) => condition(i, { claim: e.target.value })} className="font-mono" />
                  </Field>
                  <div className="min-w-0 flex-1">
                    <Field label={t("sso.exact")} error={problems[`conditions[${i}].value`]}>
                      <Input value={c.value} onChange={(e) => condition(i, { value: e.target.value })} className="font-mono" />
                    </Field>
                  </div>
                  {value.conditions.length > 1 && (
                    <IconButton label={`${t("sso.removeCondition")} ${i + 1}`} onClick={() => set({ conditions: value.conditions.filter((_, j) => j !== i) })}>
                      <Trash2 aria-hidden className="size-4" />
                    </IconButton>
                  )}
                </div>
              ))}
              {problems.conditions && <p className="text-sm text-danger-text">{words(t, problems.conditions)}</p>}
              <Button onClick={() => set({ conditions: [...value.conditions, { claim: "", value: "" }] })}>
                <Plus aria-hidden className="size-4" />
                {t("sso.addCondition")}
              </Button>
            </FieldSet>
            <FieldSet legend={t("sso.gets")}>
              <Field label={t("sso.machine")} hint={t(machines.length === 0 && members.data ? "sso.noMachine" : "sso.machineHint")} error={problems.user_id}>
                <Select value={value.user_id} onChange={(e) => set({ user_id: e.target.value })}>
                  <option value="">{t("safes.choose")}</option>
                  {machines.map((m) => (
                    <option key={m.user_id} value={m.user_id}>
                      {m.email}
                    </option>
                  ))}
                </Select>
              </Field>
              <Field label={t("sso.tokenScopes")} hint={t("sso.tokenScopesHint")} error={problems.scopes ?? problems["scopes[0]"]}>
                <TextArea rows={3} className="font-mono" value={value.scopes.join("\n")} onChange={(e) => set({ scopes: e.target.value.split("\n") })} onBlur={(e) => set({ scopes: linesOf(e.target.value) })} />
              </Field>
              <Field label={t("sso.ttl")} error={problems.ttl_seconds}>
                <Input type="number" min={1} max={60} value={Math.round((value.ttl_seconds ?? 900) / 60)} onChange={(e) => set({ ttl_seconds: (e.target.valueAsNumber || 0) * 60 })} />
              </Field>
              <Checkbox label={t("sso.fields.enabled")} checked={value.enabled ?? true} onChange={(e) => set({ enabled: e.target.checked })} />
            </FieldSet>
          </>
        )}
      </EditForm>
      {deleting && read && (
        <ConfirmByName
          title={`${t("sso.delete")}: ${read.rule.name}`}
          label={t("sso.delete")}
          name={read.rule.name}
          onClose={() => setDeleting(false)}
          act={async () => {
            await ok(api.DELETE("/api/v1/org/sso/workload-rules/{id}", { params: { path: { id: read.rule.id } } }));
            await back();
          }}
        >
          {t("sso.deleteProgramLead")}
        </ConfirmByName>
      )}
    </>
  );
}
