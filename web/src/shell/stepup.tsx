import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, context, ok } from "../api/client";
import { ActDialog, Dialog } from "../ui/dialog";
import { Field, Input } from "../ui/field";
import { factorOf } from "./enrol";
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
  const answer = useRef<(ok: boolean) => void>(undefined);

  useEffect(() => {
    context.stepUp = () =>
      new Promise<boolean>((resolve) => {
        answer.current = resolve;
        setPassword("");
        setCode("");
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
      {byFactor ? (
        <Field label={t("shell.code")} hint={t("shell.codeHint")}>
          <Input autoComplete="one-time-code" value={code} onChange={(e) => setCode(e.target.value)} autoFocus />
        </Field>
      ) : (
        <Field label={t("shell.password")}>
          <Input type="password" autoComplete="current-password" value={password} onChange={(e) => setPassword(e.target.value)} autoFocus />
        </Field>
      )}
    </ActDialog>
  );
}
