import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok } from "../../api/client";
import { EditForm } from "../../ui/form";
import { PageHead } from "../../ui/page";
import { fresh, SafeFields } from "./form";

export default function CreateSafe() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const navigate = useNavigate();
  const [value, setValue] = useState(fresh);
  return (
    <>
      <PageHead title={t("safes.create")} parent={{ to: "/safes", label: t("safes.title") }} lead={t("safes.createLead")} />
      <EditForm
        back="/safes"
        label={t("safes.create")}
        save={async () => {
          const made = await ok(api.POST("/api/v1/safes", { body: value }));
          await client.invalidateQueries({ queryKey: ["safes"] });
          await navigate({ to: `/safes/${made.id}` as never });
        }}
      >
        {(problems) => <SafeFields value={value} onChange={setValue} problems={problems} bindings />}
      </EditForm>
    </>
  );
}
