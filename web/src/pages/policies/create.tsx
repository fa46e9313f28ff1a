import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok } from "../../api/client";
import { Field, Select } from "../../ui/field";
import { EditForm } from "../../ui/form";
import { PageHead } from "../../ui/page";
import { fresh, PolicyFields } from "./form";

const snake = (id: string) => id.replaceAll("-", "_");

export default function CreatePolicy() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const navigate = useNavigate();
  const [value, setValue] = useState(fresh);
  const [template, setTemplate] = useState("");
  const { data: templates } = useQuery({ queryKey: ["policies", "templates"], staleTime: Infinity, queryFn: () => ok(api.GET("/api/v1/policies/templates")) });
  return (
    <>
      <PageHead title={t("policies.create")} parent={{ to: "/policies", label: t("policies.title") }} lead={t("policies.createLead")} />
      <EditForm
        back="/policies"
        label={t("policies.createDraft")}
        save={async () => {
          const made = await ok(api.POST("/api/v1/policies", { body: value }));
          await client.invalidateQueries({ queryKey: ["policies"] });
          await navigate({ to: `/policies/${made.id}` as never });
        }}
      >
        {(problems) => (
          <>
            <Field label={t("policies.template")} optional>
              <Select
                value={template}
                onChange={(e) => {
                  const chosen = templates?.find((x) => x.id === e.target.value);
                  setTemplate(e.target.value);
                  // The zone in which the reader lives is a better guess than the template's.
                  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
                  const conditions = chosen?.policy.conditions;
                  const hours = conditions?.time_window && { ...conditions.time_window, time_zone: zone };
                  const words = chosen && { name: t(`policies.templates.${snake(chosen.id)}.name`), description: t(`policies.templates.${snake(chosen.id)}.text`) };
                  setValue(chosen ? { ...chosen.policy, ...words, conditions: { ...conditions, ...(hours && { time_window: hours }) }, safe_ids: value.safe_ids } : fresh);
                }}
              >
                <option value="">{t("policies.noTemplate")}</option>
                {templates?.map((x) => (
                  <option key={x.id} value={x.id}>
                    {t(`policies.templates.${snake(x.id)}.name`)}
                  </option>
                ))}
              </Select>
            </Field>
            <PolicyFields value={value} onChange={setValue} problems={problems} />
          </>
        )}
      </EditForm>
    </>
  );
}
