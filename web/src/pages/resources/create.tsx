import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok } from "../../api/client";
import { EditForm } from "../../ui/form";
import { PageHead } from "../../ui/page";
import { fresh, ResourceFields } from "./form";

export default function CreateResource() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const navigate = useNavigate();
  const [value, setValue] = useState(fresh);
  return (
    <>
      <PageHead title={t("resources.create")} parent={{ to: "/resources", label: t("resources.title") }} lead={t("resources.createLead")} />
      <EditForm
        back="/resources"
        label={t("resources.create")}
        save={async () => {
          const made = await ok(api.POST("/api/v1/resources", { body: value }));
          await client.invalidateQueries({ queryKey: ["resources"] });
          await navigate({ to: `/resources/${made.id}` as never });
        }}
      >
        {(problems) => <ResourceFields value={value} onChange={setValue} problems={problems} />}
      </EditForm>
    </>
  );
}
