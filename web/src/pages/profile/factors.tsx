import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../../api/client";
import { Enrol, RecoveryCodes } from "../../shell/enrol";
import { Button, IconButton } from "../../ui/button";
import { ActDialog, Dialog } from "../../ui/dialog";
import { Loading, Problem } from "../../ui/feedback";
import { Card, Time } from "../../ui/page";

/** The person's second factors. */
export function Factors() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<Schemas["Factor"]>();
  const [codes, setCodes] = useState<string[]>();
  const [renewing, setRenewing] = useState(false);
  const { data, error } = useQuery({ queryKey: ["factors"], queryFn: () => ok(api.GET("/api/v1/me/mfa")) });
  const changed = async () => {
    await client.invalidateQueries({ queryKey: ["factors"] });
    await client.invalidateQueries({ queryKey: ["logins"] });
  };
  return (
    <Card title={t("profile.factors")} actions={<Button onClick={() => setAdding(true)}>{t("profile.addFactor")}</Button>}>
      {error ? (
        <Problem error={error} />
      ) : !data ? (
        <Loading />
      ) : data.factors?.length === 0 ? (
        <p className="text-sm text-muted">{t("profile.noFactors")}</p>
      ) : (
        <>
          <ul className="divide-y divide-line text-sm">
            {data.factors?.map((f) => (
              <li key={f.id} className="flex flex-wrap items-center justify-between gap-3 py-2.5 first:pt-0">
                <span className="name min-w-0 flex-1">{f.label}</span>
                <span className="text-muted">{f.last_used_at && <Time at={f.last_used_at} />}</span>
                <IconButton label={t("profile.removeFactor", { name: f.label })} onClick={() => setRemoving(f)}>
                  <Trash2 aria-hidden className="size-4" />
                </IconButton>
              </li>
            ))}
          </ul>
          <div className="mt-4 flex flex-wrap items-center justify-between gap-3 text-sm">
            <span>{t("profile.codesLeft", { count: data.recovery_codes_left })}</span>
            <Button onClick={() => setRenewing(true)}>{t("profile.newCodes")}</Button>
          </div>
        </>
      )}
      {adding && (
        <Dialog title={t("profile.addFactor")} onClose={() => setAdding(false)}>
          <Enrol
            onDone={() => {
              setAdding(false);
              void changed();
            }}
          />
        </Dialog>
      )}
      {renewing && (
        <ActDialog
          title={t("profile.newCodes")}
          label={t("profile.newCodes")}
          onClose={() => setRenewing(false)}
          act={async () => {
            setCodes((await ok(api.POST("/api/v1/me/mfa/recovery-codes"))).recovery_codes ?? []);
            await changed();
          }}
        >
          <p className="text-sm text-muted">{t("profile.newCodesLead")}</p>
        </ActDialog>
      )}
      {codes && (
        <Dialog title={t("shell.recoveryCodes")} onClose={() => setCodes(undefined)}>
          <RecoveryCodes codes={codes} onDone={() => setCodes(undefined)} />
        </Dialog>
      )}
      {removing && (
        <ActDialog
          title={t("profile.removeFactor", { name: removing.label })}
          label={t("profile.removeKey")}
          kind="danger"
          onClose={() => setRemoving(undefined)}
          act={async () => {
            await ok(api.DELETE("/api/v1/me/mfa/{id}", { params: { path: { id: removing.id } } }));
            await changed();
          }}
        >
          <p className="text-sm text-muted">{t("profile.removeFactorLead")}</p>
        </ActDialog>
      )}
    </Card>
  );
}
