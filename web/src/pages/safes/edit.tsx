import { useNavigate, useParams } from "@tanstack/react-router";
import { useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api, type Schemas } from "../../api/client";
import { count, duration } from "../../format";
import { VersionedForm } from "../../ui/form";
import { PageHead } from "../../ui/page";
import { SafeFields, type SafeIn } from "./form";
import { checkoutWords } from "./reveal";
import { rotationWords } from "./rotation";

/** What of a Safe the form shows and sends. */
const fields = ["name", "description", "bindings", "approval", "visibility", "recording", "session_ttl_seconds", "checkout", "clipboard", "file_transfer", "mfa_step_up", "rotation", "break_glass"] as const;

export default function EditSafe() {
  const { t } = useTranslation();
  const { id } = useParams({ strict: false }) as { id: string };
  const client = useQueryClient();
  const navigate = useNavigate();
  const path = { id };
  return (
    <VersionedForm<Schemas["Safe"], SafeIn>
      back={`/safes/${id}`}
      fields={fields}
      names={(f) => t(`safes.fields.${f}`)}
      values={(f, v) => {
        const onOff = (on: boolean) => t(`safes.onOff.${on ? "on" : "off"}`);
        if (f === "recording" || f === "mfa_step_up") return onOff(v === true || v === "on");
        if (f === "clipboard" || f === "file_transfer") return t(`safes.transfer.${v as string}`);
        if (f === "session_ttl_seconds") return duration(v as number);
        if (f === "approval") return t(`safes.approvals.${v as string}`);
        if (f === "visibility") return t(`safes.visible.${v as string}`);
        if (f === "checkout") return checkoutWords(t, v as SafeIn["checkout"]);
        if (f === "break_glass") return count((v as SafeIn["break_glass"])!.user_ids?.length ?? 0);
        if (f === "rotation") return rotationWords(t, v as SafeIn["rotation"]);
        return f === "bindings" ? count((v as unknown[]).length) : undefined;
      }}
      read={() => api.GET("/api/v1/safes/{id}", { params: { path } })}
      write={(patch, version) => api.PATCH("/api/v1/safes/{id}", { params: { path, header: { "If-Match": version } }, body: patch as SafeIn })}
      saved={async () => {
        await client.invalidateQueries({ queryKey: ["safes"] });
        await navigate({ to: `/safes/${id}` as never });
      }}
      head={(safe) => <PageHead title={t("safes.editTitle", { name: safe.name })} parent={{ to: `/safes/${id}`, label: safe.name }} />}
    >
      {(value, onChange, problems, safe) => <SafeFields value={value} onChange={onChange} problems={problems} bindings={safe.role === "manager"} />}
    </VersionedForm>
  );
}
