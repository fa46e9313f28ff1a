import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Pencil, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ApiError, ok, type Schemas } from "../../api/client";
import { Enrol, RecoveryCodes } from "../../shell/enrol";
import { canPasskey, makePasskey, PasskeyError } from "../../shell/passkey";
import { Button, IconButton } from "../../ui/button";
import { ActDialog, Dialog } from "../../ui/dialog";
import { Badge, Loading, Problem } from "../../ui/feedback";
import { Field, Input } from "../../ui/field";
import { Card, Time } from "../../ui/page";

/** The person's second factors. */
export function Factors() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<Schemas["Factor"]>();
  const [codes, setCodes] = useState<string[]>();
  const [registering, setRegistering] = useState(false);
  const [renaming, setRenaming] = useState<Schemas["Factor"]>();
  const [renewing, setRenewing] = useState(false);
  const { data, error } = useQuery({ queryKey: ["factors"], queryFn: () => ok(api.GET("/api/v1/me/mfa")) });
  const changed = async () => {
    await client.invalidateQueries({ queryKey: ["factors"] });
    await client.invalidateQueries({ queryKey: ["logins"] });
  };
  return (
    <Card title={t("profile.factors")} actions={
        <>
          {canPasskey() && <Button onClick={() => setRegistering(true)}>{t("profile.addPasskey")}</Button>}
          <Button onClick={() => setAdding(true)}>{t("profile.addFactor")}</Button>
        </>
      }
    >
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
                <span className="flex min-w-0 flex-1 flex-wrap items-center gap-2">
                  <span className="name">{f.label}</span>
                  <Badge tone="quiet">{t(`profile.factorKinds.${f.factor}`)}</Badge>
                </span>
                <span className="text-muted">{f.last_used_at && <Time at={f.last_used_at} />}</span>
                <IconButton label={t("profile.renameFactor", { name: f.label })} onClick={() => setRenaming(f)}>
                  <Pencil aria-hidden className="size-4" />
                </IconButton>
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
      {registering && (
        <Register
          onClose={() => setRegistering(false)}
          done={async (made) => {
            if (made.length > 0) setCodes(made);
            await changed();
          }}
        />
      )}
      {renaming && <Rename factor={renaming} onClose={() => setRenaming(undefined)} done={changed} />}
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

function Register({ onClose, done }: { onClose: () => void; done: (codes: string[]) => Promise<void> }) {
  const { t } = useTranslation();
  const [label, setLabel] = useState("");
  return (
    <ActDialog
      title={t("profile.addPasskey")}
      label={t("profile.goOn")}
      onClose={onClose}
      act={async () => {
        const begun = await ok(api.POST("/api/v1/me/mfa/webauthn", { body: { label: label.trim() } }));
        try {
          const made = await ok(api.POST("/api/v1/me/mfa/webauthn/finish", { body: await makePasskey(begun) }));
          await done(made.recovery_codes ?? []);
        } catch (e) {
          if (!(e instanceof PasskeyError)) throw e;
          throw new ApiError(0, "PASSKEY", t(e.message === "known" ? "profile.passkeyKnown" : "shell.passkeyStopped"));
        }
      }}
    >
      <p className="text-sm text-muted">{t("profile.addPasskeyLead")}</p>
      <Field label={t("profile.factorLabel")} optional>
        <Input value={label} onChange={(e) => setLabel(e.target.value)} maxLength={64} autoComplete="off" autoFocus />
      </Field>
    </ActDialog>
  );
}

function Rename({ factor, onClose, done }: { factor: Schemas["Factor"]; onClose: () => void; done: () => Promise<void> }) {
  const { t } = useTranslation();
  const [label, setLabel] = useState(factor.label);
  return (
    <ActDialog
      title={t("profile.renameFactor", { name: factor.label })}
      label={t("profile.rename")}
      disabled={!label.trim()}
      onClose={onClose}
      act={async () => {
        await ok(api.PATCH("/api/v1/me/mfa/{id}", { params: { path: { id: factor.id } }, body: { label: label.trim() } }));
        await done();
      }}
    >
      <Field label={t("profile.factorLabel")}>
        <Input value={label} onChange={(e) => setLabel(e.target.value)} maxLength={64} autoComplete="off" autoFocus />
      </Field>
    </ActDialog>
  );
}
