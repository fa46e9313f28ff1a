import { useQuery } from "@tanstack/react-query";
import { Plus, Trash2 } from "lucide-react";
import { useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../../api/client";
import { Button, IconButton } from "../../ui/button";
import { Checkbox, control, Field, FieldSet, Input, Select, TextArea } from "../../ui/field";
import { words } from "../../ui/words";
import { types } from "../resources/form";
import { dayName, days, roles } from "./words";

export type PolicyIn = Schemas["PolicyIn"];

export const fresh: PolicyIn = { name: "", description: "", action: "allow", conditions: {}, safe_ids: [] };

interface Props {
  value: PolicyIn;
  onChange: (v: PolicyIn) => void;
  problems: Record<string, string>;
}

/** The fields of a policy, for making and for changing one. */
export function PolicyFields({ value, onChange, problems }: Props) {
  const { t } = useTranslation();
  const set = (change: Partial<PolicyIn>) => onChange({ ...value, ...change });
  const conditions = value.conditions ?? {};
  const when = (change: Partial<typeof conditions>) => set({ conditions: { ...conditions, ...change } });
  const jit = value.jit ?? { approvers: 1, max_seconds: 14400, auto_expire: true };
  const members = useQuery({ queryKey: ["members", "list", "all"], queryFn: () => ok(api.GET("/api/v1/org/members", { params: { query: {} } })) });
  const groups = useQuery({ queryKey: ["groups", "list", "all"], queryFn: () => ok(api.GET("/api/v1/org/groups", { params: { query: {} } })) });
  const safes = useQuery({ queryKey: ["safes", "list", "all"], queryFn: () => ok(api.GET("/api/v1/safes", { params: { query: {} } })) });
  return (
    <div className="space-y-8">
      <FieldSet legend={t("policies.what")}>
        <Field label={t("policies.name")} error={problems.name}>
          <Input value={value.name} onChange={(e) => set({ name: e.target.value })} required autoFocus />
        </Field>
        <Field label={t("policies.description")} error={problems.description} optional>
          <TextArea rows={2} value={value.description ?? ""} onChange={(e) => set({ description: e.target.value })} />
        </Field>
        <Field label={t("policies.action")} hint={t(`policies.actionHints.${value.action}`)} error={problems.action}>
          <Select
            value={value.action}
            onChange={(e) => {
              const action = e.target.value as PolicyIn["action"];
              set({ action, jit: action === "require_approval" ? jit : undefined, conditions: action === "deny" ? { ...conditions, mfa_required: undefined } : conditions });
            }}
          >
            {(["allow", "deny", "require_approval"] as const).map((a) => (
              <option key={a} value={a}>
                {t(`policies.actions.${a}`)}
              </option>
            ))}
          </Select>
        </Field>
        {value.action === "require_approval" && (
          <>
            <Field label={t("policies.approvers")} error={problems["jit.approvers"]}>
              <Select value={jit.approvers} onChange={(e) => set({ jit: { ...jit, approvers: Number(e.target.value) } })}>
                <option value={1}>{t("policies.onePerson")}</option>
                <option value={2}>{t("policies.twoPeople")}</option>
              </Select>
            </Field>
            <Field label={t("policies.maxMinutes")} hint={t("policies.maxHint")} error={problems["jit.max_seconds"]}>
              <Input type="number" min={0} value={Math.round((jit.max_seconds ?? 0) / 60)} onChange={(e) => set({ jit: { ...jit, max_seconds: (e.target.valueAsNumber || 0) * 60 } })} />
            </Field>
          </>
        )}
      </FieldSet>
      <FieldSet legend={t("policies.conditions")} hint={t("policies.conditionsHint")}>
        <HoursField value={conditions.time_window ?? undefined} onChange={(h) => when({ time_window: h })} problems={problems} />
        <Field label={t("policies.addresses")} hint={t("policies.addressesHint")} error={problems["conditions.source_ips"]} optional>
          <TextArea rows={3} className="font-mono" value={(conditions.source_ips ?? []).join("\n")} onChange={(e) => when({ source_ips: e.target.value === "" ? undefined : e.target.value.split("\n").map((l) => l.trim()) })} />
        </Field>
        {value.action !== "deny" && <Checkbox label={t("policies.factor")} hint={t("policies.factorHint")} checked={!!conditions.mfa_required} onChange={(e) => when({ mfa_required: e.target.checked || undefined })} />}
        <Choices
          label={t("policies.types")}
          problem={problems["conditions.resource_types"]}
          options={[...new Set([...Object.keys(types), ...(conditions.resource_types ?? [])])].map((id) => ({ id, name: types[id] ?? id }))}
          chosen={conditions.resource_types ?? []}
          onChange={(resource_types) => when({ resource_types })}
        />
      </FieldSet>
      <FieldSet legend={t("policies.about")} hint={t("policies.aboutHint")}>
        <Choices label={t("policies.roles")} problem={problems["conditions.roles"]} options={roles.map((id) => ({ id, name: t(`members.roles.${id}`) }))} chosen={conditions.roles ?? []} onChange={(r) => when({ roles: r })} />
        {((groups.data?.length ?? 0) > 0 || (conditions.group_ids?.length ?? 0) > 0) && (
          <Choices label={t("policies.groups")} problem={problems["conditions.group_ids"]} options={groups.data ?? []} chosen={conditions.group_ids ?? []} onChange={(group_ids) => when({ group_ids })} />
        )}
        <Choices
          label={t("policies.people")}
          problem={problems["conditions.user_ids"]}
          options={(members.data ?? []).map((m) => ({ id: m.user_id, name: m.email }))}
          chosen={conditions.user_ids ?? []}
          onChange={(user_ids) => when({ user_ids })}
        />
      </FieldSet>
      <FieldSet legend={t("policies.safes")} hint={t("policies.safesHint")}>
        <Choices label={t("policies.safes")} hideLabel problem={problems.safe_ids} options={(safes.data ?? []).map((s) => ({ id: s.id, name: s.name }))} chosen={value.safe_ids ?? []} onChange={(safe_ids) => set({ safe_ids })} />
      </FieldSet>
    </div>
  );
}

interface ChoicesProps {
  label: string;
  hideLabel?: boolean;
  problem?: string;
  options: { id: string; name: string }[];
  chosen: string[];
  onChange: (ids: string[]) => void;
}

/** Any number of a list, which is searched where it is long. What is chosen
 * and not in the list, or not to be seen, stays chosen. */
function Choices({ label, hideLabel, problem, options, chosen, onChange }: ChoicesProps) {
  const { t } = useTranslation();
  const [text, setText] = useState("");
  const id = useId();
  const all = [...options, ...chosen.filter((c) => !options.some((o) => o.id === c)).map((c) => ({ id: c, name: c }))];
  const long = all.length > 8;
  const shown = long ? all.filter((o) => chosen.includes(o.id) || (text !== "" && o.name.toLowerCase().includes(text.toLowerCase()))).slice(0, 50) : all;
  return (
    <div role="group" aria-labelledby={id} className="space-y-2">
      <p id={id} className={hideLabel ? "sr-only" : "text-sm font-medium"}>
        {label} {!hideLabel && <span className="font-normal text-faint">({t("ui.optional")})</span>}
      </p>
      {long && <input type="search" aria-label={`${t("ui.search")}: ${label}`} placeholder={t("ui.search")} value={text} onChange={(e) => setText(e.target.value)} className={`block min-h-9 w-full px-3 py-1.5 ${control}`} />}
      {shown.length > 0 && (
        <div className="grid gap-x-6 gap-y-2 sm:grid-cols-2">
          {shown.map((o) => (
            <Checkbox key={o.id} label={<span className="name">{o.name}</span>} checked={chosen.includes(o.id)} onChange={(e) => onChange(e.target.checked ? [...chosen, o.id] : chosen.filter((c) => c !== o.id))} />
          ))}
        </div>
      )}
      {problem && <p className="text-sm text-danger-text">{words(t, problem)}</p>}
    </div>
  );
}

type Hours = Schemas["ValidHours"];
const office: Hours["windows"][number] = { days: ["mon", "tue", "wed", "thu", "fri"], from: "08:00", to: "18:00" };

/** Hours of the week in a time zone. field is how the API names them. */
export function HoursField({ field = "conditions.time_window", value, onChange, problems }: { field?: string; value?: Hours; onChange: (h: Hours | undefined) => void; problems: Record<string, string> }) {
  const { t } = useTranslation();
  const zones = [...new Set(["UTC", ...Intl.supportedValuesOf("timeZone"), ...(value ? [value.time_zone] : [])])];
  const change = (i: number, w: Partial<Hours["windows"][number]>) => onChange({ ...value!, windows: value!.windows.map((x, j) => (i === j ? { ...x, ...w } : x)) });
  return (
    <div className="space-y-4">
      <Checkbox
        label={t("policies.hoursOnly")}
        hint={t("policies.hoursHint")}
        checked={!!value}
        onChange={(e) => onChange(e.target.checked ? { time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC", windows: [office] } : undefined)}
      />
      {value && (
        <div className="space-y-4 border-l-2 border-line pl-4">
          <Field label={t("policies.zone")} error={problems[`${field}.time_zone`]}>
            <Select value={value.time_zone} onChange={(e) => onChange({ ...value, time_zone: e.target.value })}>
              {zones.map((z) => (
                <option key={z} value={z}>
                  {z.replaceAll("_", " ")}
                </option>
              ))}
            </Select>
          </Field>
          {value.windows.map((w, i) => (
            <div key={i} role="group" aria-label={`${t("policies.hours")} ${i + 1}`} className="space-y-3">
              <div className="flex flex-wrap gap-x-4 gap-y-1">
                {days.map((d) => (
                  <Checkbox key={d} label={<abbr title={dayName(d, "long")} className="no-underline">{dayName(d)}</abbr>} checked={w.days.includes(d)} onChange={(e) => change(i, { days: days.filter((x) => (x === d ? e.target.checked : w.days.includes(x))) })} />
                ))}
              </div>
              <div className="flex flex-wrap items-end gap-3">
                <Field label={t("policies.from")} error={problems[`${field}.windows.from`]}>
                  <Input type="time" value={w.from} onChange={(e) => change(i, { from: e.target.value })} />
                </Field>
                <Field label={t("policies.to")} error={problems[`${field}.windows.to`]}>
                  <Input type="time" value={w.to === "24:00" ? "00:00" : w.to} onChange={(e) => change(i, { to: e.target.value === "00:00" ? "24:00" : e.target.value })} />
                </Field>
                <IconButton label={t("policies.removeHours")} onClick={() => onChange(value.windows.length > 1 ? { ...value, windows: value.windows.filter((_, j) => j !== i) } : undefined)}>
                  <Trash2 aria-hidden className="size-4" />
                </IconButton>
              </div>
              {problems[`${field}.windows.days`] && <p className="text-sm text-danger-text">{words(t, problems[`${field}.windows.days`]!)}</p>}
            </div>
          ))}
          <Button onClick={() => onChange({ ...value, windows: [...value.windows, office] })}>
            <Plus aria-hidden className="size-4" />
            {t("policies.addHours")}
          </Button>
        </div>
      )}
    </div>
  );
}
