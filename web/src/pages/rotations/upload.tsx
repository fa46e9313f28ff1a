import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ApiError, ok, type Schemas } from "../../api/client";
import { ActDialog } from "../../ui/dialog";
import { useToast } from "../../ui/toast";
import { CredentialFields, type CredentialIn } from "../accounts/form";

/** Takes a secret that was changed elsewhere. It leaves the page's memory as
 * soon as it was sent, or when the dialog goes. */
export function Upload({ account, onClose, done }: { account: Schemas["Account"]; onClose: () => void; done: () => Promise<unknown> }) {
  const { t } = useTranslation();
  const toast = useToast();
  const [value, setValue] = useState<CredentialIn>({ kind: account.credential?.kind === "ssh_key" ? "ssh_key" : "password" });
  const [problems, setProblems] = useState<Record<string, string>>({});
  return (
    <ActDialog
      title={t("rotations.upload")}
      label={t("rotations.verify")}
      disabled={!value.value && !value.private_key}
      onClose={onClose}
      onError={(e) => setProblems(e instanceof ApiError ? e.fields : {})}
      act={async () => {
        try {
          await ok(api.POST("/api/v1/accounts/{id}/rotate", { params: { path: { id: account.id } }, body: { credential: value } }));
        } finally {
          setValue({ kind: value.kind });
        }
        await done();
        toast(t("rotations.uploaded"));
      }}
    >
      <p className="text-sm text-muted">{t("rotations.uploadLead")}</p>
      <CredentialFields value={value} onChange={setValue} problems={problems} />
    </ActDialog>
  );
}
