import { LogIn } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../../api/client";
import { Button } from "../../ui/button";
import { Alert, Problem } from "../../ui/feedback";
import { Card } from "../../ui/page";
import { words } from "../../ui/words";

/** A login with the stored credential, and out again. */
export function useCheck(account: string) {
  const [busy, setBusy] = useState(false);
  const [result, setResult] = useState<Schemas["CredentialCheck"]>();
  const [error, setError] = useState<unknown>();
  async function check() {
    setBusy(true);
    setError(undefined);
    setResult(undefined);
    try {
      setResult(await ok(api.POST("/api/v1/accounts/{id}/check", { params: { path: { id: account } } })));
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  }
  return { busy, result, error, check };
}

export function CheckResult({ test: { result, error } }: { test: ReturnType<typeof useCheck> }) {
  const { t } = useTranslation();
  return (
    <>
      <Problem error={error} />
      {result && (
        <Alert tone={result.ok ? "good" : "danger"} title={t(result.ok ? "accounts.checkOk" : "accounts.checkFailed")}>
          {result.error && words(t, result.error)}
        </Alert>
      )}
    </>
  );
}

/** Says whether the stored credential opens the target. */
export function CheckCard({ account }: { account: string }) {
  const { t } = useTranslation();
  const test = useCheck(account);
  return (
    <Card
      title={t("accounts.check")}
      actions={
        <Button onClick={() => void test.check()} busy={test.busy}>
          <LogIn aria-hidden className="size-4" />
          {t("accounts.checkNow")}
        </Button>
      }
    >
      <div aria-live="polite">
        {!test.result && !test.error && <p className="text-sm text-muted">{t("accounts.checkLead")}</p>}
        <CheckResult test={test} />
      </div>
    </Card>
  );
}
