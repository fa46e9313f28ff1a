import { useQuery } from "@tanstack/react-query";
import { LockOpen } from "lucide-react";
import { useState, type FormEvent, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { ApiError, api, ok } from "../api/client";
import { Button } from "../ui/button";
import { Problem } from "../ui/feedback";
import { Field, Input } from "../ui/field";
import { Progress } from "../ui/progress";

/** A page without the frame: something has to be said before it can be shown. */
export function Standing({ children }: { children: ReactNode }) {
  return (
    <main id="main" className="mx-auto flex min-h-dvh max-w-xl flex-col justify-center gap-5 p-6">
      <p className="flex items-center gap-2 text-base font-semibold">
        <img src="/favicon.svg" alt="" width={24} height={24} />
        VaultPAM
      </p>
      {children}
    </main>
  );
}

/** What is left while the vault is sealed: opening it, which needs no login,
 * because logins need the vault. */
export function Sealed({ onOpen }: { onOpen: () => void }) {
  const { t } = useTranslation();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const [share, setShare] = useState("");
  // Somebody may open it elsewhere, or give another share.
  const { data, refetch } = useQuery({
    queryKey: ["sealed"],
    refetchInterval: 3000,
    gcTime: 0,
    queryFn: async () => {
      const status = await ok(api.GET("/api/v1/vault/status"));
      if (!status.sealed) onOpen();
      return status;
    },
  });
  async function unseal(body: { share?: string; reset?: boolean }): Promise<void> {
    setBusy(true);
    setError(undefined);
    setShare("");
    try {
      const status = await ok(api.POST("/api/v1/vault/unseal", { body }));
      if (!status.sealed) onOpen();
    } catch (e) {
      setError(e);
    } finally {
      await refetch();
      setBusy(false);
    }
  }
  const problem = error instanceof ApiError ? error.fields.share : undefined;
  const shared = !!data?.threshold;
  return (
    <>
      <h1 className="text-2xl font-semibold tracking-tight">{t("shell.sealed")}</h1>
      <p className="text-sm text-muted">{t("shell.sealedLead")}</p>
      {!problem && <Problem error={error} />}
      {data && !shared && (
        <>
          <p className="text-sm text-muted">{t(`shell.opener.${["keyfile", "transit", "awskms", "pkcs11"].includes(data.seal_kind) ? data.seal_kind : "other"}`)}</p>
          <Button kind="primary" busy={busy} className="self-start" onClick={() => void unseal({})}>
            <LockOpen aria-hidden className="size-4" />
            {t("shell.unseal")}
          </Button>
        </>
      )}
      {data && shared && (
        <form
          className="space-y-5"
          onSubmit={(e: FormEvent) => {
            e.preventDefault();
            void unseal({ share });
          }}
        >
          <div className="space-y-2">
            <p className="text-sm" role="status">
              {t("shell.shareProgress", { given: data.progress, needed: data.threshold, all: data.shares })}
            </p>
            <Progress label={t("shell.shares")} value={data.progress} max={data.threshold} />
          </div>
          <Field label={t("shell.share")} hint={t("shell.shareHint")} error={problem}>
            <Input type="password" autoComplete="off" maxLength={256} value={share} onChange={(e) => setShare(e.target.value)} required autoFocus />
          </Field>
          <div className="flex flex-wrap gap-3">
            <Button type="submit" kind="primary" busy={busy}>
              <LockOpen aria-hidden className="size-4" />
              {t("shell.giveShare")}
            </Button>
            {data.progress > 0 && (
              <Button type="button" disabled={busy} onClick={() => void unseal({ reset: true })}>
                {t("shell.dropShares")}
              </Button>
            )}
          </div>
        </form>
      )}
    </>
  );
}
