import { useQueryClient } from "@tanstack/react-query";
import type { TFunction } from "i18next";
import { KeyRound } from "lucide-react";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../../api/client";
import { duration, when } from "../../format";
import { Button, CopyButton } from "../../ui/button";
import { ActDialog, Dialog } from "../../ui/dialog";
import { Problem } from "../../ui/feedback";
import { Field, Input } from "../../ui/field";
import { useToast } from "../../ui/toast";
import { mayLaunch } from "./launch";
import type { Target } from "./targets";

/** Checks a secret out, where the Safe allows that, shows it this once, and
 * gives it back. */
export function Reveal({ safe, account }: { safe: Schemas["Safe"]; account: Target["account"] }) {
  const { t } = useTranslation();
  const [asking, setAsking] = useState(false);
  const [reason, setReason] = useState("");
  const [made, setMade] = useState<Schemas["Checkout"]>();
  if (!safe.checkout.enabled || safe.locked || !mayLaunch(safe)) return null;
  const title = t("safes.revealTitle", { name: account.name });
  return (
    <>
      <Button className="min-h-8 py-1" aria-label={title} onClick={() => setAsking(true)}>
        <KeyRound aria-hidden className="size-4" />
        {t("safes.checkOut")}
      </Button>
      {asking && (
        <ActDialog
          title={title}
          label={t("safes.reveal")}
          onClose={() => setAsking(false)}
          act={async () => {
            setMade(await ok(api.POST("/api/v1/checkouts", { body: { safe_id: safe.id, account_id: account.id, reason: reason || undefined } })));
            setReason("");
          }}
        >
          <p className="text-sm text-muted">{t("safes.revealLead", { time: duration(safe.checkout.ttl_seconds ?? 0) })}</p>
          <Field label={t("sessions.reason")} optional>
            <Input value={reason} onChange={(e) => setReason(e.target.value)} autoComplete="off" />
          </Field>
        </ActDialog>
      )}
      {made && <Revealed checkout={made} name={account.name} onClose={() => setMade(undefined)} />}
    </>
  );
}

/** A secret that was just checked out, this once. */
export function Revealed({ checkout: c, name, onClose }: { checkout: Schemas["Checkout"]; name: string; onClose: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  useEffect(() => void client.invalidateQueries({ queryKey: ["checkouts"] }), [client]);
  const toast = useToast();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  async function giveBack(): Promise<void> {
    setBusy(true);
    setError(undefined);
    try {
      await ok(api.POST("/api/v1/checkouts/{id}/check-in", { params: { path: { id: c.id } } }));
      await client.invalidateQueries({ queryKey: ["checkouts"] });
      toast(t("safes.gaveBack"));
      onClose();
    } catch (e) {
      setError(e);
      setBusy(false);
    }
  }
  return (
    <Dialog title={name} onClose={onClose} wide={c.kind === "ssh_key"}>
      <p className="text-sm text-muted">{t("safes.revealedUntil", { at: when(c.expires_at) })}</p>
      <pre tabIndex={0} aria-label={t("safes.secret")} className="name max-h-80 overflow-auto rounded-md bg-sunken p-3 font-mono text-sm break-all whitespace-pre-wrap">
        {c.value}
      </pre>
      <Problem error={error} />
      <div className="flex flex-wrap justify-end gap-2">
        <CopyButton text={c.value ?? ""} />
        <Button kind="primary" busy={busy} onClick={() => void giveBack()}>
          {t("safes.giveBack")}
        </Button>
      </div>
    </Dialog>
  );
}

/** The rules as one line. */
export function checkoutWords(t: TFunction, c?: Schemas["SafeIn"]["checkout"]): string {
  if (!c?.enabled) return t("safes.onOff.off");
  return [duration(c.ttl_seconds ?? 0), c.exclusive ? t("safes.exclusive") : ""].filter(Boolean).join(" · ");
}
