import { Plus, Trash2 } from "lucide-react";
import { useTranslation } from "react-i18next";
import type { Schemas } from "../../api/client";
import { Button } from "../../ui/button";
import { Field, FieldSet, Input, Select } from "../../ui/field";

type Dependent = Schemas["RotationDependent"];
const most = 16;

interface Props {
  value: Dependent[];
  onChange: (v: Dependent[]) => void;
  resources: { id: string; name: string }[];
  accounts: Schemas["Account"][];
  problems: Record<string, string>;
}

/** Files that hold a copy of the secret, and are brought up to date with it. */
export function Dependents({ value, onChange, resources, accounts, problems }: Props) {
  const { t } = useTranslation();
  const change = (i: number, d: Partial<Dependent>) => onChange(value.map((x, j) => (i === j ? { ...x, ...d } : x)));
  const options = (all: { id: string; name: string }[], chosen: string) => (
    <>
      <option value="">{t("accounts.choose")}</option>
      {(chosen && !all.some((x) => x.id === chosen) ? [...all, { id: chosen, name: chosen }] : all).map((x) => (
        <option key={x.id} value={x.id}>
          {x.name}
        </option>
      ))}
    </>
  );
  return (
    <FieldSet legend={t("rotations.copies")} hint={t("rotations.copiesHint")}>
      {value.map((d, i) => (
        <div key={i} role="group" aria-label={t("rotations.copy", { n: i + 1 })} className="space-y-3 border-l-2 border-line pl-4">
          <div className="grid gap-3 sm:grid-cols-2">
            <Field label={t("rotations.copyResource")} error={problems["dependents.resource_id"]}>
              <Select value={d.resource_id} onChange={(e) => change(i, { resource_id: e.target.value, account_id: "" })}>
                {options(resources, d.resource_id)}
              </Select>
            </Field>
            <Field label={t("rotations.copyAccount")} error={problems["dependents.account_id"]}>
              <Select value={d.account_id} disabled={!d.resource_id} onChange={(e) => change(i, { account_id: e.target.value })}>
                {options(
                  accounts.filter((a) => !a.resource_id || a.resource_id === d.resource_id),
                  d.account_id,
                )}
              </Select>
            </Field>
            <Field label={t("rotations.path")} error={problems["dependents.path"]}>
              <Input value={d.path} onChange={(e) => change(i, { path: e.target.value })} autoComplete="off" className="font-mono" placeholder="/etc/app.env" />
            </Field>
            <Field label={t("rotations.key")} hint={t("rotations.keyHint")} error={problems["dependents.key"]} optional>
              <Input value={d.key ?? ""} onChange={(e) => change(i, { key: e.target.value || undefined })} autoComplete="off" className="font-mono" placeholder="DB_PASSWORD" />
            </Field>
          </div>
          <Button onClick={() => onChange(value.filter((_, j) => j !== i))}>
            <Trash2 aria-hidden className="size-4" />
            {t("rotations.removeCopy", { n: i + 1 })}
          </Button>
        </div>
      ))}
      {value.length < most && (
        <Button onClick={() => onChange([...value, { resource_id: "", account_id: "", path: "" }])}>
          <Plus aria-hidden className="size-4" />
          {t("rotations.addCopy")}
        </Button>
      )}
    </FieldSet>
  );
}
