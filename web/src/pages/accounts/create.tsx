import { useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ApiError, ok } from "../../api/client";
import { EditForm } from "../../ui/form";
import { PageHead } from "../../ui/page";
import { AccountFields, CredentialFields, fresh, given, type CredentialIn } from "./form";

export default function CreateAccount() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const navigate = useNavigate();
  const { resource } = useSearch({ strict: false }) as { resource?: string };
  const [value, setValue] = useState({ ...fresh, resource_id: resource });
  const [credential, setCredential] = useState<CredentialIn>({ kind: "password" });
  return (
    <>
      <PageHead title={t("accounts.create")} parent={{ to: "/accounts", label: t("accounts.title") }} lead={t("accounts.createLead")} />
      <EditForm
        back="/accounts"
        label={t("accounts.create")}
        save={async () => {
          // The API would take it for a domain account, which few mean.
          if (value.resource_id === undefined) throw new ApiError(422, "VALIDATION_FAILED", t("ui.words.fields"), "", [{ field: "resource_id", problem: "is required" }]);
          const made = await ok(api.POST("/api/v1/accounts", { body: { ...value, ...(given(credential) && { credential }) } }));
          setCredential({ kind: credential.kind });
          await client.invalidateQueries({ queryKey: ["accounts"] });
          await navigate({ to: `/accounts/${made.id}` as never });
        }}
      >
        {(problems) => (
          <>
            <AccountFields value={value} onChange={setValue as never} problems={problems} />
            <CredentialFields value={credential} onChange={setCredential} problems={problems} resource={value.resource_id} />
          </>
        )}
      </EditForm>
    </>
  );
}
