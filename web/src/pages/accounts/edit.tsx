import { useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api, type Schemas } from "../../api/client";
import { Alert } from "../../ui/feedback";
import { VersionedForm } from "../../ui/form";
import { PageHead } from "../../ui/page";
import { AccountFields, type AccountIn } from "./form";

const fields = ["name", "username", "resource_id"] as const;

export default function EditAccount() {
  const { t } = useTranslation();
  const { id } = useParams({ strict: false }) as { id: string };
  const client = useQueryClient();
  const navigate = useNavigate();
  const path = { id };
  return (
    <VersionedForm<Schemas["Account"], AccountIn>
      back={`/accounts/${id}`}
      fields={fields}
      names={(f) => t(`accounts.fields.${f}`)}
      read={() => api.GET("/api/v1/accounts/{id}", { params: { path } })}
      write={(patch, version) => api.PATCH("/api/v1/accounts/{id}", { params: { path, header: { "If-Match": version } }, body: patch as never })}
      saved={async () => {
        await client.invalidateQueries({ queryKey: ["accounts"] });
        await navigate({ to: `/accounts/${id}` as never });
      }}
      head={(a) => <PageHead title={t("accounts.editTitle", { name: a.name })} parent={{ to: `/accounts/${id}`, label: a.name }} />}
    >
      {(value, onChange, problems) => (
        <>
          <Alert tone="info">{t("accounts.redirectLead")}</Alert>
          <AccountFields value={value} onChange={onChange} problems={problems} />
        </>
      )}
    </VersionedForm>
  );
}
