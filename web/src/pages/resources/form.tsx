import { useTranslation } from "react-i18next";
import type { Schemas } from "../../api/client";
import { Field, FieldSet, Input, Select, TextArea } from "../../ui/field";

export type ResourceIn = Schemas["ResourceIn"];

/** The kinds of targets that can be reached, as people write them. */
export const types: Record<string, string> = { ssh: "SSH" };

export const fresh: ResourceIn = { name: "", type: "ssh", host: "", port: 22, host_keys: [], host_key_policy: "pinned" };

interface Props {
  value: ResourceIn;
  onChange: (v: ResourceIn) => void;
  problems: Record<string, string>;
}

/** What a resource is called and where it is: enough for a first one. */
export function AddressFields({ value, onChange, problems }: Props) {
  const { t } = useTranslation();
  const set = (change: Partial<ResourceIn>) => onChange({ ...value, ...change });
  return (
    <>
      <Field label={t("resources.name")} error={problems.name}>
        <Input value={value.name} onChange={(e) => set({ name: e.target.value })} required autoFocus />
      </Field>
      {Object.keys(types).length > 1 && (
        <Field label={t("resources.type")} error={problems.type}>
          <Select value={value.type} onChange={(e) => set({ type: e.target.value as ResourceIn["type"] })}>
            {Object.entries(types).map(([type, name]) => (
              <option key={type} value={type}>
                {name}
              </option>
            ))}
          </Select>
        </Field>
      )}
      <div className="grid gap-4 sm:grid-cols-[1fr_8rem]">
        <Field label={t("resources.host")} hint={t("resources.hostHint")} error={problems.host}>
          <Input value={value.host} onChange={(e) => set({ host: e.target.value })} required />
        </Field>
        <Field label={t("resources.port")} error={problems.port}>
          <Input type="number" min={1} max={65535} value={value.port ?? ""} onChange={(e) => set({ port: e.target.value ? e.target.valueAsNumber : undefined })} />
        </Field>
      </div>
    </>
  );
}

export function ResourceFields({ value, onChange, problems }: Props) {
  const { t } = useTranslation();
  const set = (change: Partial<ResourceIn>) => onChange({ ...value, ...change });
  return (
    <div className="space-y-8">
      <FieldSet legend={t("resources.what")}>
        <AddressFields value={value} onChange={onChange} problems={problems} />
      </FieldSet>
      <FieldSet legend={t("resources.hostKey")} hint={t("resources.hostKeyHint")}>
        <Field label={t("resources.policy")} error={problems.host_key_policy}>
          <Select value={value.host_key_policy} onChange={(e) => set({ host_key_policy: e.target.value as ResourceIn["host_key_policy"] })}>
            <option value="pinned">{t("resources.policies.pinned")}</option>
            <option value="accept_first">{t("resources.policies.accept_first")}</option>
          </Select>
        </Field>
        <Field label={t("resources.keys")} hint={t("resources.keysHint")} error={problems.host_keys} optional>
          <TextArea className="font-mono text-xs" value={(value.host_keys ?? []).join("\n")} onChange={(e) => set({ host_keys: e.target.value.split("\n").filter((l) => l.trim()) })} />
        </Field>
      </FieldSet>
    </div>
  );
}
