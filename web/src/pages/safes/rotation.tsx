import type { TFunction } from "i18next";
import { useTranslation } from "react-i18next";
import type { Schemas } from "../../api/client";
import { duration } from "../../format";
import { Checkbox, Field, FieldSet, Input } from "../../ui/field";

type Rules = NonNullable<Schemas["SafeIn"]["rotation"]>;

/** When the credentials of the Safe's accounts are changed. */
export function RotationRules({ value, onChange, problem }: { value: Rules; onChange: (v: Rules) => void; problem?: string }) {
  const { t } = useTranslation();
  return (
    <FieldSet legend={t("safes.rotation")} hint={t("safes.rotationHint")}>
      <Field label={t("safes.interval")} hint={t("safes.intervalHint")} error={problem}>
        <Input type="number" min={0} max={3650} value={value.interval_days ?? 0} onChange={(e) => onChange({ ...value, interval_days: e.target.valueAsNumber || 0 })} />
      </Field>
      <Checkbox label={t("safes.afterSession")} hint={t("safes.afterSessionHint")} checked={!!value.after_session} onChange={(e) => onChange({ ...value, after_session: e.target.checked })} />
      <Checkbox label={t("safes.afterCheckIn")} hint={t("safes.afterCheckInHint")} checked={!!value.after_check_in} onChange={(e) => onChange({ ...value, after_check_in: e.target.checked })} />
    </FieldSet>
  );
}

/** The rules as one line. */
export function rotationWords(t: TFunction, r?: Rules): string {
  const parts = [r?.interval_days ? t("safes.every", { span: duration(r.interval_days * 86400) }) : "", r?.after_session ? t("safes.afterSession") : "", r?.after_check_in ? t("safes.afterCheckIn") : ""].filter(Boolean);
  return parts.join(" · ") || t("safes.onOff.off");
}
