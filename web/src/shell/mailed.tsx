import { useQuery } from "@tanstack/react-query";
import { useState, type FormEvent, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { api, ApiError, ok } from "../api/client";
import { useSession } from "../api/session";
import { Button } from "../ui/button";
import { Alert, Loading, Problem } from "../ui/feedback";
import { Field, Input } from "../ui/field";
import { Standing } from "./sealed";
import { SignIn } from "./signin";

/** The pages that letters lead to. They need no login, or not at first. */
export const mailed: Record<string, () => ReactNode> = { "/invitation": Invitation, "/new-password": NewPassword };

// What stands behind the # is taken out of the address at once, so that it is
// in no history and no screenshot.
function takeToken(): string {
  const token = location.hash.slice(1);
  if (token) history.replaceState(history.state, "", location.pathname);
  return token;
}

/** Begins anew, as who has just come in. */
const enter = () => location.assign("/");

function Invitation() {
  const { t, i18n } = useTranslation();
  const { who, signIn, signOut } = useSession();
  const [token] = useState(takeToken);
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const { data, error: gone } = useQuery({ queryKey: ["invitation", token], queryFn: () => ok(api.POST("/api/v1/invitations/look-up", { body: { token } })), retry: false, staleTime: Infinity });
  if (gone) {
    return (
      <Standing>
        <h1 className="text-2xl font-semibold tracking-tight">{t("shell.invitation")}</h1>
        <Problem error={gone} />
      </Standing>
    );
  }
  if (!data || who === undefined) return <Loading />;
  if (data.known && who === null) return <SignIn note={t("shell.invitationSignIn", { org: data.org_name, email: data.email })} />;

  async function accept(e: FormEvent) {
    e.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      if (data!.known) {
        await ok(api.POST("/api/v1/me/invitations/accept", { body: { token } }));
      } else {
        await ok(api.POST("/api/v1/invitations/accept", { body: { token, password, name: name.trim() || undefined, language: i18n.language as never } }));
        await signIn(data!.email, password);
      }
      enter();
    } catch (err) {
      setError(err);
      setBusy(false);
    }
  }
  const problems = error instanceof ApiError ? error.fields : {};
  const other = who && who.me.email !== data.email;
  return (
    <Standing>
      <h1 className="text-2xl font-semibold tracking-tight">{t("shell.invitation")}</h1>
      <p>{t("shell.invitationLead", { org: data.org_name, role: t(`members.roles.${data.role}`) })}</p>
      {other ? (
        <Alert tone="warn" action={<Button onClick={() => void signOut()}>{t("shell.signOut")}</Button>}>
          {t("shell.invitationOther", { me: who.me.email, email: data.email })}
        </Alert>
      ) : (
        <form onSubmit={(e) => void accept(e)} className="space-y-4 rounded-lg border border-line bg-surface p-5" noValidate>
          {!data.known && (
            <>
              <Field label={t("shell.email")}>
                <Input type="email" autoComplete="username" value={data.email} readOnly />
              </Field>
              <Field label={t("shell.yourName")} optional error={problems.name}>
                <Input autoComplete="name" value={name} onChange={(e) => setName(e.target.value)} maxLength={64} autoFocus />
              </Field>
              <Field label={t("shell.newPassword")} hint={t("shell.passwordRule")} error={problems.password}>
                <Input type="password" autoComplete="new-password" value={password} onChange={(e) => setPassword(e.target.value)} required />
              </Field>
            </>
          )}
          <Problem error={error} />
          <Button type="submit" kind="primary" busy={busy} className="w-full">
            {t("shell.acceptInvitation")}
          </Button>
        </form>
      )}
    </Standing>
  );
}

function NewPassword() {
  const { t } = useTranslation();
  const [token] = useState(takeToken);
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  async function submit(e: FormEvent) {
    e.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await ok(api.POST("/api/v1/auth/new-password", { body: { token, new_password: password } }));
      enter();
    } catch (err) {
      setError(err);
      setBusy(false);
    }
  }
  return (
    <Standing>
      <h1 className="text-2xl font-semibold tracking-tight">{t("shell.newPasswordTitle")}</h1>
      <form onSubmit={(e) => void submit(e)} className="space-y-4 rounded-lg border border-line bg-surface p-5" noValidate>
        <Alert tone="info">{t("shell.newPasswordLead")}</Alert>
        <Field label={t("shell.newPassword")} hint={t("shell.passwordRule")} error={error instanceof ApiError ? error.fields.new_password : undefined}>
          <Input type="password" autoComplete="new-password" value={password} onChange={(e) => setPassword(e.target.value)} required autoFocus />
        </Field>
        <Problem error={error} />
        <Button type="submit" kind="primary" busy={busy} className="w-full">
          {t("shell.chooseAndSignIn")}
        </Button>
      </form>
    </Standing>
  );
}
