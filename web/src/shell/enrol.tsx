import qrcode from "qrcode-generator";
import { useEffect, useRef, useState, type FormEvent } from "react";
import { useTranslation } from "react-i18next";
import { api, ApiError, ok, type Schemas } from "../api/client";
import { Button } from "../ui/button";
import { Alert, Loading, Problem } from "../ui/feedback";
import { Field, Input } from "../ui/field";

/** A text as a QR code, which is drawn here: the secret in it goes nowhere. */
function QRCode({ text, label }: { text: string; label: string }) {
  const code = qrcode(0, "M");
  code.addData(text);
  code.make();
  const n = code.getModuleCount();
  let path = "";
  for (let y = 0; y < n; y++) for (let x = 0; x < n; x++) if (code.isDark(y, x)) path += `M${x + 4} ${y + 4}h1v1h-1z`;
  return (
    <svg role="img" aria-label={label} viewBox={`0 0 ${n + 8} ${n + 8}`} className="qr size-48 rounded-md" shapeRendering="crispEdges">
      <path d={path} />
    </svg>
  );
}

/** Enrols an authenticator app: with the token of a sign-in that wants it, or
 * as whoever is signed in. */
export function Enrol({ token, onDone }: { token?: string; onDone: () => void }) {
  const { t } = useTranslation();
  const [begun, setBegun] = useState<Schemas["TOTP"]>();
  const [codes, setCodes] = useState<string[]>();
  const [code, setCode] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const headers = token ? { Authorization: `Bearer ${token}` } : undefined;
  const started = useRef(false);
  useEffect(() => {
    if (started.current) return; // each secret replaces the one before
    started.current = true;
    ok(api.POST("/api/v1/me/mfa/totp", { body: {}, headers })).then(setBegun, setError);
  });

  async function submit(e: FormEvent) {
    e.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      const done = await ok(api.POST("/api/v1/me/mfa/totp/confirm", { body: { code: code.trim() }, headers }));
      if (done.recovery_codes?.length) setCodes(done.recovery_codes);
      else onDone();
    } catch (err) {
      setError(err);
    }
    setBusy(false);
  }
  if (codes) return <RecoveryCodes codes={codes} onDone={onDone} />;
  if (!begun) return error ? <Problem error={error} /> : <Loading />;
  return (
    <form onSubmit={(e) => void submit(e)} className="space-y-4" noValidate>
      <p className="text-sm text-muted">{t("shell.enrolLead")}</p>
      <QRCode text={begun.otpauth_url} label={t("shell.qr")} />
      <Field label={t("shell.enrolKey")} hint={t("shell.enrolKeyHint")}>
        <Input readOnly value={begun.secret} className="font-mono" onFocus={(e) => e.target.select()} />
      </Field>
      <Field label={t("shell.code")} hint={t("shell.enrolCodeHint")} error={error instanceof ApiError ? error.fields.code : undefined}>
        <Input inputMode="numeric" autoComplete="one-time-code" value={code} onChange={(e) => setCode(e.target.value)} required />
      </Field>
      <Problem error={error} />
      <Button type="submit" kind="primary" busy={busy}>
        {t("shell.enrol")}
      </Button>
    </form>
  );
}

/** Codes that are shown this once. */
export function RecoveryCodes({ codes, onDone }: { codes: string[]; onDone: () => void }) {
  const { t } = useTranslation();
  const [copied, setCopied] = useState(false);
  return (
    <div className="space-y-4">
      <Alert tone="warn">{t("shell.recoveryLead")}</Alert>
      <ul aria-label={t("shell.recoveryCodes")} className="grid grid-cols-2 gap-x-6 gap-y-1 font-mono text-sm">
        {codes.map((c) => (
          <li key={c}>{c}</li>
        ))}
      </ul>
      <div className="flex flex-wrap gap-2">
        <Button onClick={() => void navigator.clipboard.writeText(codes.join("\n")).then(() => setCopied(true))}>{t(copied ? "shell.copied" : "shell.copy")}</Button>
        <Button kind="primary" onClick={onDone}>
          {t("shell.recoveryDone")}
        </Button>
      </div>
    </div>
  );
}

/** Which factor a code is of: an app's has six digits, one on paper is longer. */
export const factorOf = (code: string): "totp" | "recovery_code" => (code.replaceAll(" ", "").length > 8 ? "recovery_code" : "totp");
