import { useQuery } from "@tanstack/react-query";
import { Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../../api/client";
import { Button, IconButton } from "../../ui/button";
import { Checkbox, Field, FieldSet, Input, Select, TextArea } from "../../ui/field";
import { BreakGlassFields } from "./emergency";
import { RotationRules } from "./rotation";

export type SafeIn = Schemas["SafeIn"];

/** What a new Safe starts with. */
export const fresh: SafeIn = { name: "", description: "", bindings: [], recording: "on", checkout: { enabled: false, ttl_seconds: 3600 }, session_ttl_seconds: 14400, clipboard: "audited", file_transfer: "audited" };

/** The fields of a Safe, for making and for changing one. */
export function SafeFields({ value, onChange, problems, bindings }: { value: SafeIn; onChange: (v: SafeIn) => void; problems: Record<string, string>; bindings: boolean }) {
  const { t } = useTranslation();
  const set = (change: Partial<SafeIn>) => onChange({ ...value, ...change });
  return (
    <div className="space-y-8">
      <FieldSet legend={t("safes.what")}>
        <Field label={t("safes.name")} error={problems.name}>
          <Input value={value.name} onChange={(e) => set({ name: e.target.value })} required autoFocus />
        </Field>
        <Field label={t("safes.description")} error={problems.description} optional>
          <TextArea rows={2} value={value.description} onChange={(e) => set({ description: e.target.value })} />
        </Field>
      </FieldSet>
      {bindings && <Bindings value={value} onChange={onChange} problem={problems.bindings} />}
      <FieldSet legend={t("safes.controls")} hint={t("safes.controlsHint")}>
        <Field label={t("safes.approval")} hint={t("safes.approvalHint")} error={problems.approval}>
          <Select value={value.approval ?? "none"} onChange={(e) => set({ approval: e.target.value as SafeIn["approval"] })}>
            {(["none", "single", "dual"] as const).map((v) => (
              <option key={v} value={v}>
                {t(`safes.approvals.${v}`)}
              </option>
            ))}
          </Select>
        </Field>
        <Field label={t("safes.visibility")} error={problems.visibility}>
          <Select value={value.visibility ?? "members"} onChange={(e) => set({ visibility: e.target.value as SafeIn["visibility"] })}>
            {(["members", "requestable"] as const).map((v) => (
              <option key={v} value={v}>
                {t(`safes.visible.${v}`)}
              </option>
            ))}
          </Select>
        </Field>
        <Field label={t("safes.recording")} error={problems.recording}>
          <Select value={value.recording} onChange={(e) => set({ recording: e.target.value as SafeIn["recording"] })}>
            {(["on", "off"] as const).map((v) => (
              <option key={v} value={v}>
                {t(`safes.onOff.${v}`)}
              </option>
            ))}
          </Select>
        </Field>
        <Field label={t("safes.ttlMinutes")} error={problems.session_ttl_seconds}>
          <Input type="number" min={1} value={Math.round((value.session_ttl_seconds ?? 14400) / 60)} onChange={(e) => set({ session_ttl_seconds: e.target.valueAsNumber * 60 })} />
        </Field>
        <Checkbox label={t("safes.checkoutOn")} hint={t("safes.checkoutHint")} checked={!!value.checkout?.enabled} onChange={(e) => set({ checkout: { ...value.checkout, enabled: e.target.checked } })} />
        {value.checkout?.enabled && (
          <>
            <Field label={t("safes.checkoutMinutes")} error={problems["checkout.ttl_seconds"] ?? problems.checkout}>
              <Input type="number" min={1} value={Math.round((value.checkout.ttl_seconds ?? 3600) / 60)} onChange={(e) => set({ checkout: { ...value.checkout, ttl_seconds: e.target.valueAsNumber * 60 } })} />
            </Field>
            <Checkbox label={t("safes.exclusive")} hint={t("safes.exclusiveHint")} checked={!!value.checkout.exclusive} onChange={(e) => set({ checkout: { ...value.checkout, exclusive: e.target.checked } })} />
          </>
        )}
        {(["clipboard", "file_transfer"] as const).map((f) => (
          <Field key={f} label={t(f === "clipboard" ? "safes.clipboard" : "safes.files")} error={problems[f]}>
            <Select value={value[f]} onChange={(e) => set({ [f]: e.target.value })}>
              {(["audited", "allowed", "blocked"] as const).map((v) => (
                <option key={v} value={v}>
                  {t(`safes.transfer.${v}`)}
                </option>
              ))}
            </Select>
          </Field>
        ))}
        <Checkbox label={t("safes.stepUp")} hint={t("safes.stepUpHint")} checked={!!value.mfa_step_up} onChange={(e) => set({ mfa_step_up: e.target.checked })} />
      </FieldSet>
      <RotationRules value={value.rotation ?? {}} onChange={(rotation) => set({ rotation })} problem={problems["rotation.interval_days"] ?? problems.rotation} />
      <BreakGlassFields value={value.break_glass ?? {}} onChange={(break_glass) => set({ break_glass })} problem={problems["break_glass.user_ids"] ?? problems.break_glass} adds={bindings} />
    </div>
  );
}

/** Pairs of a resource and the account that logs in there. */
function Bindings({ value, onChange, problem }: { value: SafeIn; onChange: (v: SafeIn) => void; problem?: string }) {
  const { t } = useTranslation();
  const { data: resources } = useQuery({ queryKey: ["resources", "list", "all"], queryFn: () => ok(api.GET("/api/v1/resources", { params: { query: {} } })) });
  const { data: accounts } = useQuery({ queryKey: ["accounts", "list", "all"], queryFn: () => ok(api.GET("/api/v1/accounts", { params: { query: {} } })) });
  const [resource, setResource] = useState("");
  const [account, setAccount] = useState("");
  const bound = value.bindings ?? [];
  const name = (list: { id: string; name: string }[] | undefined, id: string) => list?.find((x) => x.id === id)?.name ?? id;
  const fitting = accounts?.filter((a) => !a.resource_id || a.resource_id === resource);
  return (
    <FieldSet legend={t("safes.targets")} hint={t("safes.targetsHint")}>
      {problem && <p className="text-sm text-danger-text">{problem}</p>}
      {bound.length > 0 && (
        <ul className="divide-y divide-line rounded-md border border-line">
          {bound.map((b, i) => (
            <li key={b.resource_id + b.account_id} className="flex items-center justify-between gap-3 px-3 py-1 text-sm">
              <span className="name">
                {name(accounts, b.account_id)} {t("safes.at")} {name(resources, b.resource_id)}
              </span>
              <IconButton label={t("safes.unbind")} onClick={() => onChange({ ...value, bindings: bound.filter((_, j) => j !== i) })}>
                <Trash2 aria-hidden className="size-4" />
              </IconButton>
            </li>
          ))}
        </ul>
      )}
      <div className="grid gap-3 sm:grid-cols-[1fr_1fr_auto] sm:items-end">
        <Field label={t("safes.resource")}>
          <Select
            value={resource}
            onChange={(e) => {
              setResource(e.target.value);
              setAccount("");
            }}
          >
            <option value="">{t("safes.choose")}</option>
            {resources?.map((r) => (
              <option key={r.id} value={r.id}>
                {r.name}
              </option>
            ))}
          </Select>
        </Field>
        <Field label={t("safes.account")}>
          <Select value={account} disabled={!resource} onChange={(e) => setAccount(e.target.value)}>
            <option value="">{t("safes.choose")}</option>
            {fitting?.map((a) => (
              <option key={a.id} value={a.id}>
                {a.name} ({a.username})
              </option>
            ))}
          </Select>
        </Field>
        <Button
          disabled={!resource || !account}
          onClick={() => {
            onChange({ ...value, bindings: [...bound.filter((b) => b.resource_id !== resource || b.account_id !== account), { resource_id: resource, account_id: account }] });
            setResource("");
            setAccount("");
          }}
        >
          <Plus aria-hidden className="size-4" />
          {t("safes.bind")}
        </Button>
      </div>
    </FieldSet>
  );
}
