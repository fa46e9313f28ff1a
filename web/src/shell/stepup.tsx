import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ApiError, context, ok } from "../api/client";
import { ActDialog, Dialog } from "../ui/dialog";
import { Problem } from "../ui/feedback";
import { Field, Input } from "../ui/field";
import { Button } from "../ui/button";
import { factorOf } from "./enrol";
import { canPasskey, showPasskey } from "./passkey";
import { AskAgain } from "./sso";

/** Asks for the password again where the API wants a fresh authentication; the
 * request that was refused is then repeated. */
export function StepUp() {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const { data: mine } = useQuery({ queryKey: ["factors"], queryFn: () => ok(api.GET("/api/v1/me/mfa")), enabled: open && !context.provider });
  const byFactor = (mine?.factors?.length ?? 0) > 0;
  const passkey = canPasskey() && mine?.factors?.some((f) => f.factor === "webauthn");
  const app = mine?.factors?.some((f) => f.factor === "totp");
  const [error, setError] = useState<unknown>();
  const answer = useRef<(ok: boolean) => void>(undefined);

  useEffect(() => {
    context.stepUp = () =>
      new Promise<boolean>((resolve) => {
        answer.current = resolve;
        setPassword("");
        setCode("");
        setError(undefined);
        setOpen(true);
      });
    return () => {
      context.stepUp = async () => false;
    };
  }, []);

  const finish = (ok: boolean) => {
    answer.current?.(ok);
    answer.current = undefined;
    setOpen(false);
  };
  if (!open) return null;
  if (context.provider) {
    return (
      <Dialog title={t("shell.stepUpTitle")} onClose={() => finish(false)}>
        <AskAgain provider={context.provider} />
      </Dialog>
    );
  }
  if (!mine) return null;
  const byPasskey = async () => {
    setError(undefined);
    try {
      const asked = await ok(api.POST("/api/v1/auth/step-up/webauthn"));
      await ok(api.POST("/api/v1/auth/step-up", { body: { factor: "webauthn", mfa_token: asked.mfa_token, code: await showPasskey(asked) } }));
      finish(true);
    } catch (e) {
      setError(e instanceof ApiError ? e : new ApiError(0, "PASSKEY", t("shell.passkeyStopped")));
    }
  };
  return (
    <ActDialog
      title={t("shell.stepUpTitle")}
      label={t("shell.stepUp")}
      onClose={() => finish(false)}
      act={async () => {
        await ok(api.POST("/api/v1/auth/step-up", { body: byFactor ? { factor: factorOf(code), code: code.trim() } : { password } }));
        finish(true);
      }}
    >
      <p className="text-sm text-muted">{t(byFactor ? "shell.stepUpCode" : "shell.stepUpWhy")}</p>
      {passkey && (
        <Button className="w-full" onClick={() => void byPasskey()}>
          {t("shell.usePasskey")}
        </Button>
      )}
      <Problem error={error} />
      {byFactor ? (
        <Field label={t(app ? "shell.code" : "shell.recoveryCode")} hint={app ? t("shell.codeHint") : undefined}>
          <Input autoComplete="one-time-code" value={code} onChange={(e) => setCode(e.target.value)} autoFocus={!passkey} />
        </Field>
      ) : (
        <Field label={t("shell.password")}>
          <Input type="password" autoComplete="current-password" value={password} onChange={(e) => setPassword(e.target.value)} autoFocus />
        </Field>
      )}
    </ActDialog>
  );
}
