import { useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api, type Schemas } from "../../api/client";
import { Alert } from "../../ui/feedback";
import { VersionedForm } from "../../ui/form";
import { PageHead } from "../../ui/page";
import { ResourceFields, type ResourceIn } from "./form";

const fields = ["name", "type", "host", "port", "host_keys", "host_key_policy"] as const;

export default function EditResource() {
  const { t } = useTranslation();
  const { id } = useParams({ strict: false }) as { id: string };
  const client = useQueryClient();
  const navigate = useNavigate();
  const path = { id };
  return (
    <VersionedForm<Schemas["Resource"], ResourceIn>
      back={`/resources/${id}`}
      fields={fields}
      names={(f) => t(`resources.fields.${f}`)}
      values={(f, v) => (f === "host_key_policy" ? t(`resources.policies.${v as string}`) : f === "host_keys" ? (v as string[]).join("\n") : undefined)}
      read={() => api.GET("/api/v1/resources/{id}", { params: { path } })}
      write={(patch, version) => api.PATCH("/api/v1/resources/{id}", { params: { path, header: { "If-Match": version } }, body: patch as ResourceIn })}
      saved={async () => {
        await client.invalidateQueries({ queryKey: ["resources"] });
        await navigate({ to: `/resources/${id}` as never });
      }}
      head={(r) => <PageHead title={t("resources.editTitle", { name: r.name })} parent={{ to: `/resources/${id}`, label: r.name }} />}
    >
      {(value, onChange, problems) => (
        <>
          <Alert tone="info">{t("resources.redirectLead")}</Alert>
          <ResourceFields value={value} onChange={onChange} problems={problems} />
        </>
      )}
    </VersionedForm>
  );
}
