import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok } from "../../api/client";
import { EditForm } from "../../ui/form";
import { PageHead } from "../../ui/page";
import { fresh, ProviderFields } from "./form";

export default function CreateProvider() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const navigate = useNavigate();
  const [value, setValue] = useState(fresh);
  return (
    <>
      <PageHead title={t("sso.add")} parent={{ to: "/organization/sso", label: t("sso.title") }} lead={t("sso.addLead")} />
      <EditForm
        back="/organization/sso"
        label={t("sso.add")}
        save={async () => {
          const made = await ok(api.POST("/api/v1/org/sso/providers", { body: value }));
          await client.invalidateQueries({ queryKey: ["sso"] });
          await navigate({ to: `/organization/sso/${made.id}` as never });
        }}
      >
        {(problems) => <ProviderFields value={value} onChange={setValue} problems={problems} />}
      </EditForm>
    </>
  );
}
