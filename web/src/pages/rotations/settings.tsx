import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../../api/client";
import { Checkbox, Field, FieldSet, Input, Select } from "../../ui/field";
import { EditForm } from "../../ui/form";
import { Loading } from "../../ui/feedback";
import { Unread } from "../../ui/missing";
import { PageHead } from "../../ui/page";
import { HoursField } from "../policies/form";
import { Dependents } from "./dependents";
import { GenerationFields } from "./generation";

type Settings = Schemas["RotationSettings"];

/** How an account's credential is changed, and how often it is tried. */
export default function RotationSettings() {
  const { t } = useTranslation();
  const { id } = useParams({ strict: false }) as { id: string };
  const path = { id };
  const account = useQuery({ queryKey: ["accounts", id], queryFn: () => ok(api.GET("/api/v1/accounts/{id}", { params: { path } })) });
  const settings = useQuery({ queryKey: ["form", "rotation", id], gcTime: 0, staleTime: Infinity, queryFn: () => ok(api.GET("/api/v1/accounts/{id}/rotation", { params: { path } })) });
  const error = account.error ?? settings.error;
  if (error) return <Unread error={error} retry={() => void Promise.all([account.refetch(), settings.refetch()])} back={{ to: `/accounts/${id}`, label: t("accounts.title") }} />;
  if (!account.data || !settings.data) return <Loading />;
  return (
    <>
      <PageHead title={t("rotations.settingsTitle", { name: account.data.name })} parent={{ to: `/accounts/${id}`, label: account.data.name }} lead={t("rotations.settingsLead")} />
      <SettingsForm account={account.data} was={settings.data} />
    </>
  );
}

function SettingsForm({ account, was }: { account: Schemas["Account"]; was: Settings }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const navigate = useNavigate();
  const [value, setValue] = useState<Settings>(was);
  const set = (change: Partial<Settings>) => setValue((v) => ({ ...v, ...change }));
  const resources = useQuery({ queryKey: ["resources", "list", "all"], queryFn: () => ok(api.GET("/api/v1/resources", { params: { query: {} } })) });
  const accounts = useQuery({ queryKey: ["accounts", "list", "all"], queryFn: () => ok(api.GET("/api/v1/accounts", { params: { query: {} } })) });
  const safes = useQuery({ queryKey: ["safes", "list", "all"], queryFn: () => ok(api.GET("/api/v1/safes", { params: { query: {} } })) });
  const used = usedAt(account, safes.data ?? []);
  const places = listed(resources.data?.filter((r) => used.has(r.id)), value.resource_id);
  const place = resources.data?.find((r) => r.id === (value.resource_id || (used.size === 1 ? [...used][0] : undefined)));
  const directory = value.attribute !== undefined || place?.type === "ldap";
  return (
    <EditForm
      back={`/accounts/${account.id}`}
      label={t("ui.save")}
      save={async () => {
        await ok(api.PUT("/api/v1/accounts/{id}/rotation", { params: { path: { id: account.id } }, body: value }));
        await client.invalidateQueries({ queryKey: ["rotations"] });
        await navigate({ to: `/accounts/${account.id}` as never });
      }}
    >
      {(problems) => (
        <>
          <FieldSet legend={t("rotations.where")} hint={t("rotations.whereHint")}>
            <Field label={t("rotations.resource")} hint={t("rotations.resourceHint")} error={problems.resource_id}>
              <Select value={value.resource_id ?? ""} onChange={(e) => set({ resource_id: e.target.value || undefined })}>
                <option value="">{t("rotations.onlyOne")}</option>
                {places.map((r) => (
                  <option key={r.id} value={r.id}>
                    {r.name}
                  </option>
                ))}
              </Select>
            </Field>
            <Field label={t("rotations.login")} hint={t("rotations.loginHint")} error={problems.login} optional>
              <Input value={value.login ?? ""} onChange={(e) => set({ login: e.target.value || undefined })} autoComplete="off" placeholder={account.username} />
            </Field>
            {directory && (
              <Field label={t("rotations.attribute")} error={problems.attribute}>
                <Select value={value.attribute ?? ""} onChange={(e) => set({ attribute: (e.target.value || undefined) as Settings["attribute"] })}>
                  <option value="">{t("rotations.extended")}</option>
                  <option value="unicodePwd">{t("rotations.activeDirectory")}</option>
                </Select>
              </Field>
            )}
          </FieldSet>
          <FieldSet legend={t("rotations.helper")} hint={t("rotations.helperHint")}>
            <Field label={t("rotations.reconcile")} error={problems.reconcile_account_id}>
              <Select value={value.reconcile_account_id ?? ""} onChange={(e) => set({ reconcile_account_id: e.target.value || undefined, by_reconcile: e.target.value ? value.by_reconcile : undefined })}>
                <option value="">{t("rotations.nobody")}</option>
                {listed(accounts.data?.filter((a) => a.id !== account.id), value.reconcile_account_id).map((a) => (
                  <option key={a.id} value={a.id}>
                    {a.name}
                  </option>
                ))}
              </Select>
            </Field>
            {value.reconcile_account_id && <Checkbox label={t("rotations.always")} hint={t("rotations.alwaysHint")} checked={!!value.by_reconcile} onChange={(e) => set({ by_reconcile: e.target.checked || undefined })} />}
          </FieldSet>
          <GenerationFields kind={account.credential?.kind ?? "password"} value={value.generation} onChange={(generation) => set({ generation })} problems={problems} />
          <FieldSet legend={t("rotations.when")} hint={t("rotations.whenHint")}>
            <HoursField field="window" value={value.window} onChange={(window) => set({ window })} problems={problems} />
            <Field label={t("rotations.jitter")} hint={t("rotations.jitterHint")} error={problems.jitter_seconds}>
              <Input type="number" min={0} max={10080} value={Math.round((value.jitter_seconds ?? 0) / 60)} onChange={(e) => set({ jitter_seconds: (e.target.valueAsNumber || 0) * 60 || undefined })} />
            </Field>
            <Field label={t("rotations.checkHours")} hint={t("rotations.checkHoursHint")} error={problems.check_hours}>
              <Input type="number" min={0} max={2160} value={value.check_hours ?? 0} onChange={(e) => set({ check_hours: e.target.valueAsNumber || undefined })} />
            </Field>
          </FieldSet>
          <Dependents value={value.dependents ?? []} onChange={(all) => set({ dependents: all.length > 0 ? all : undefined })} resources={resources.data ?? []} accounts={(accounts.data ?? []).filter((a) => a.id !== account.id)} problems={problems} />
        </>
      )}
    </EditForm>
  );
}

/** The resources at which an account is used: its own, and where Safes bind it. */
export function usedAt(account: Pick<Schemas["Account"], "id" | "resource_id">, safes: Pick<Schemas["Safe"], "bindings">[]): Set<string> {
  const bound = safes.flatMap((s) => s.bindings ?? []).filter((b) => b.account_id === account.id);
  return new Set([...(account.resource_id ? [account.resource_id] : []), ...bound.map((b) => b.resource_id)]);
}

/** What is chosen stays to be seen, even when it is not in the list any more. */
function listed(all: { id: string; name: string }[] = [], chosen?: string) {
  return chosen && !all.some((x) => x.id === chosen) ? [...all, { id: chosen, name: chosen }] : all;
}
