import { useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api, type Schemas } from "../../api/client";
import { count } from "../../format";
import { Alert } from "../../ui/feedback";
import { VersionedForm } from "../../ui/form";
import { PageHead } from "../../ui/page";
import { PolicyFields, type PolicyIn } from "./form";
import { Preview } from "./preview";
import { useConditions } from "./words";

const fields = ["name", "description", "action", "jit", "conditions", "safe_ids"] as const;

/** As a merge patch takes them: what is not there any more is null. */
export function patchOf(patch: Partial<PolicyIn>, from: Schemas["Policy"]): Record<string, unknown> {
  const out: Record<string, unknown> = { ...patch };
  if ("jit" in patch && !patch.jit) out.jit = null;
  if (patch.conditions) {
    const gone = Object.keys(from.conditions).filter((k) => patch.conditions![k as keyof typeof patch.conditions] === undefined);
    out.conditions = { ...patch.conditions, ...Object.fromEntries(gone.map((k) => [k, null])) };
  }
  return out;
}

export default function EditPolicy() {
  const { t } = useTranslation();
  const { id } = useParams({ strict: false }) as { id: string };
  const client = useQueryClient();
  const navigate = useNavigate();
  const conditions = useConditions();
  let read: Schemas["Policy"];
  return (
    <VersionedForm<Schemas["Policy"], PolicyIn>
      back={`/policies/${id}`}
      fields={fields}
      names={(f) => t(`policies.fields.${f}`)}
      values={(f, v) => {
        if (f === "action") return t(`policies.actions.${v as string}`);
        if (f === "safe_ids") return count((v as unknown[]).length);
        if (f === "jit") return v ? count((v as Schemas["JIT"]).approvers ?? 1) : "–";
        return f === "conditions" ? conditions(v as Schemas["PolicyConditions"]).map((c) => `${c.label}: ${c.text.join(", ")}`).join("; ") || t("policies.always") : undefined;
      }}
      read={() => api.GET("/api/v1/policies/{id}", { params: { path: { id } } })}
      write={(patch, version) => api.PATCH("/api/v1/policies/{id}", { params: { path: { id }, header: { "If-Match": version } }, body: patchOf(patch, read) as never })}
      saved={async () => {
        await client.invalidateQueries();
        await navigate({ to: `/policies/${id}` as never });
      }}
      head={(p) => {
        read = p;
        return <PageHead title={t("policies.editTitle", { name: p.name })} parent={{ to: `/policies/${id}`, label: p.name }} />;
      }}
    >
      {(value, onChange, problems, policy) => (
        <>
          {policy.status === "active" && <Alert tone="info">{t("policies.editActive")}</Alert>}
          <PolicyFields value={value} onChange={onChange} problems={problems} />
          <Preview id={id} change={patchOf(value, policy)} />
        </>
      )}
    </VersionedForm>
  );
}
