import { useQuery } from "@tanstack/react-query";
import { LockOpen } from "lucide-react";
import { useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { api, ok } from "../api/client";
import { Button } from "../ui/button";
import { Problem } from "../ui/feedback";

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
  // Somebody may open it elsewhere.
  const { data } = useQuery({
    queryKey: ["sealed"],
    refetchInterval: 3000,
    gcTime: 0,
    queryFn: async () => {
      const status = await ok(api.GET("/api/v1/vault/status"));
      if (!status.sealed) onOpen();
      return status;
    },
  });
  async function unseal(): Promise<void> {
    setBusy(true);
    setError(undefined);
    try {
      await ok(api.POST("/api/v1/vault/unseal"));
      onOpen();
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  }
  return (
    <>
      <h1 className="text-2xl font-semibold tracking-tight">{t("shell.sealed")}</h1>
      <p className="text-sm text-muted">{t("shell.sealedLead")}</p>
      <Problem error={error} />
      {data?.seal_kind === "keyfile" && (
        <Button kind="primary" busy={busy} className="self-start" onClick={() => void unseal()}>
          <LockOpen aria-hidden className="size-4" />
          {t("shell.unseal")}
        </Button>
      )}
    </>
  );
}
