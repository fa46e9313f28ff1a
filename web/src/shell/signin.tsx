import { useEffect, useState, type FormEvent } from "react";
import { useTranslation } from "react-i18next";
import { api, ApiError, ok, type Schemas } from "../api/client";
import { useSession } from "../api/session";
import { choose, languages, type Language } from "../i18n";
import { Button } from "../ui/button";
import { Alert, Problem } from "../ui/feedback";
import { Field, Input } from "../ui/field";
import { Enrol, factorOf } from "./enrol";
import { canPasskey, PasskeyError, showPasskey } from "./passkey";
import { Sealed, Standing } from "./sealed";
import { SingleSignOn } from "./sso";

/** E-mail and password together; further ways to sign in stand below the form. */
export function SignIn({ note }: { note?: string }) {
  const { t, i18n } = useTranslation();
  const { signIn, showFactor, signInByPasskey, ended } = useSession();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  // With PASSWORD_CHANGE_REQUIRED: a token that opens nothing but the change.
  const [change, setChange] = useState("");
  const [fresh, setFresh] = useState("");
  // With MFA_REQUIRED: what the code goes with; with MFA_ENROLMENT_REQUIRED: a
  // token that opens nothing but the enrolment.
  const [half, setHalf] = useState("");
  // What else goes with it: the kinds that can be shown, and what a passkey is asked.
  const [factors, setFactors] = useState<string[]>([]);
  const [asked, setAsked] = useState<Schemas["PublicKey"]>();
  const [code, setCode] = useState("");
  const [enrol, setEnrol] = useState("");

  useEffect(() => {
    document.title = `${t("shell.signIn")} · VaultPAM`;
  }, [t]);

  // Whoever opens the vault has no login to find out by that it is sealed.
  useEffect(() => {
    let here = true;
    void ok(api.GET("/api/v1/vault/status")).then(
      (status) => here && status.sealed && setError(new ApiError(503, "VAULT_SEALED", "")),
      () => undefined, // signing in says what is wrong
    );
    return () => {
      here = false;
    };
  }, []);

  async function submit(e: FormEvent) {
    e.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      if (change) {
        await ok(api.PUT("/api/v1/me/password", { body: { current_password: password, new_password: fresh }, headers: { Authorization: `Bearer ${change}` } }));
        await signIn(email, fresh);
      } else if (half) {
        await showFactor(half, factorOf(code), code.trim());
      } else {
        await signIn(email, password);
      }
    } catch (err) {
      setCode("");
      if (err instanceof ApiError && err.code === "PASSWORD_CHANGE_REQUIRED" && err.body.access_token) setChange(err.body.access_token);
      else if (err instanceof ApiError && err.code === "MFA_REQUIRED" && err.body.mfa_token) {
        setChange("");
        setHalf(err.body.mfa_token);
        setFactors(err.body.factors ?? []);
        setAsked(err.body.webauthn);
      } else if (err instanceof ApiError && err.code === "MFA_ENROLMENT_REQUIRED" && err.body.access_token) setEnrol(err.body.access_token);
      else if (err instanceof ApiError && err.code === "AUTH_FAILED" && half) setError(new ApiError(err.status, err.code, t("shell.codeFailed")));
      else setError(err instanceof ApiError && err.code === "AUTH_FAILED" ? new ApiError(err.status, err.code, t("shell.signInFailed")) : err);
      setBusy(false);
    }
  }
  /** Signs in by a passkey: behind the password, or alone. */
  async function byPasskey(act: () => Promise<void>) {
    setBusy(true);
    setError(undefined);
    try {
      await act();
    } catch (err) {
      if (err instanceof ApiError && err.code === "PASSWORD_CHANGE_REQUIRED" && err.body.access_token) setChange(err.body.access_token);
      else setError(err instanceof PasskeyError ? new ApiError(0, "PASSKEY", t("shell.passkeyStopped")) : err instanceof ApiError && err.code === "AUTH_FAILED" ? new ApiError(err.status, err.code, t("shell.passkeyFailed")) : err);
      setBusy(false);
    }
  }
  const problems = error instanceof ApiError ? error.fields : {};
  if (error instanceof ApiError && error.code === "VAULT_SEALED") {
    return (
      <Standing>
        <Sealed onOpen={() => setError(undefined)} />
      </Standing>
    );
  }

  if (enrol) {
    return (
      <Standing>
        <h1 className="text-2xl font-semibold tracking-tight">{t("shell.enrolTitle")}</h1>
        <Alert tone="info">{t("shell.mustEnrol")}</Alert>
        <div className="rounded-lg border border-line bg-surface p-5">
          <Enrol
            token={enrol}
            onDone={() => {
              setEnrol("");
              setBusy(true);
              signIn(email, password).catch((err: unknown) => {
                if (err instanceof ApiError && err.code === "MFA_REQUIRED" && err.body.mfa_token) {
                  setHalf(err.body.mfa_token);
                  setFactors(err.body.factors ?? []);
                  setAsked(err.body.webauthn);
                } else setError(err);
                setBusy(false);
              });
            }}
          />
        </div>
      </Standing>
    );
  }

  return (
    <main id="main" className="mx-auto flex min-h-dvh max-w-sm flex-col justify-center gap-6 px-4 py-10">
      <div className="flex items-center gap-3">
        <img src="/favicon.svg" alt="" width={36} height={36} />
        <h1 className="text-2xl font-semibold tracking-tight">{t(change ? "shell.newPasswordTitle" : "shell.signInTitle")}</h1>
      </div>
      {note && <Alert tone="info">{note}</Alert>}
      {ended && <Alert tone="info">{t("shell.ended")}</Alert>}
      <form onSubmit={(e) => void submit(e)} className="space-y-4 rounded-lg border border-line bg-surface p-5">
        {half && !change ? (
          <>
            {asked && (
              <Button kind="primary" className="w-full" busy={busy} onClick={() => void byPasskey(async () => showFactor(half, "webauthn", await showPasskey(asked)))}>
                {t("shell.usePasskey")}
              </Button>
            )}
            <Field label={t(factors.includes("totp") ? "shell.code" : "shell.recoveryCode")} hint={factors.includes("totp") ? t("shell.codeHint") : undefined}>
              <Input autoComplete="one-time-code" value={code} onChange={(e) => setCode(e.target.value)} required autoFocus={!asked} />
            </Field>
          </>
        ) : change ? (
          <>
            <Alert tone="info">{t("shell.mustChange")}</Alert>
            <Field label={t("shell.newPassword")} hint={t("shell.passwordRule")} error={problems.new_password}>
              <Input type="password" autoComplete="new-password" value={fresh} onChange={(e) => setFresh(e.target.value)} required autoFocus />
            </Field>
          </>
        ) : (
          <>
            <Field label={t("shell.email")}>
              <Input type="email" autoComplete="username" value={email} onChange={(e) => setEmail(e.target.value)} required autoFocus />
            </Field>
            <Field label={t("shell.password")}>
              <Input type="password" autoComplete="current-password" value={password} onChange={(e) => setPassword(e.target.value)} required />
            </Field>
          </>
        )}
        <Problem error={error} />
        <Button type="submit" kind="primary" busy={busy} className="w-full">
          {t(change ? "shell.changeAndSignIn" : "shell.signIn")}
        </Button>
        {half && (
          <Button
            className="w-full"
            onClick={() => {
              setHalf("");
              setError(undefined);
            }}
          >
            {t("shell.startOver")}
          </Button>
        )}
      </form>
      {!change && !half && canPasskey() && (
        <Button className="w-full" busy={busy} onClick={() => void byPasskey(signInByPasskey)}>
          {t("shell.signInByPasskey")}
        </Button>
      )}
      {!change && !half && <SingleSignOn email={email} />}
      <nav aria-label={t("shell.language")} className="flex flex-wrap justify-center gap-x-4 text-sm">
        {Object.entries(languages).map(([code, name]) => (
          <button key={code} type="button" lang={code} aria-pressed={i18n.language === code} onClick={() => void choose(code as Language)} className="py-1 text-muted underline-offset-2 hover:text-text hover:underline aria-pressed:font-semibold aria-pressed:text-text">
            {name}
          </button>
        ))}
      </nav>
    </main>
  );
}
