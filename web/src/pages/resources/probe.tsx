import { useQueryClient } from "@tanstack/react-query";
import { Plug } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../../api/client";
import { Button } from "../../ui/button";
import { Alert, Problem } from "../../ui/feedback";
import { Card } from "../../ui/page";
import { words } from "../../ui/words";
import { HostKey } from "./hostkey";

/** A test of the connection to a resource, in the version that was read, and
 * the pinning of the key that it found. */
export function useProbe(resource: Schemas["Resource"], version: string, onPinned?: () => void) {
  const client = useQueryClient();
  const [probe, setProbe] = useState<Schemas["Probe"]>();
  const [busy, setBusy] = useState<"probe" | "pin">();
  const [error, setError] = useState<unknown>();
  const path = { id: resource.id };

  async function run(what: "probe" | "pin", act: () => Promise<void>) {
    setBusy(what);
    setError(undefined);
    try {
      await act();
    } catch (e) {
      setError(e);
    } finally {
      setBusy(undefined);
    }
  }
  return {
    probe,
    busy,
    error,
    look: () =>
      run("probe", async () => {
        setProbe(await ok(api.POST("/api/v1/resources/{id}/probe", { params: { path } })));
      }),
    pin: () =>
      run("pin", async () => {
        await ok(api.PATCH("/api/v1/resources/{id}", { params: { path, header: { "If-Match": version } }, body: { host_keys: [probe!.host_key!] } as never }));
        await client.invalidateQueries({ queryKey: ["resources"] });
        setProbe({ ...probe!, pinned: true });
        onPinned?.();
      }),
  };
}

/** What a test has found, and the button that pins it. */
export function ProbeResult({ test: { probe, busy, error, pin }, mayPin }: { test: ReturnType<typeof useProbe>; mayPin: boolean }) {
  const { t } = useTranslation();
  return (
    <>
      <Problem error={error} />
      {probe && !probe.reachable && (
        <Alert tone="danger" title={t("resources.unreachable")}>
          {probe.error && words(t, probe.error)}
        </Alert>
      )}
      {probe?.reachable && (
        <Alert tone="good" title={t("resources.reachable")}>
          {probe.host_key && (
            <>
              <p>{t(probe.pinned ? "resources.keyIsPinned" : "resources.keyShown")}</p>
              <HostKey line={probe.host_key} />
            </>
          )}
        </Alert>
      )}
      {probe?.reachable && probe.host_key && !probe.pinned && mayPin && (
        <div className="space-y-3">
          <p className="max-w-prose text-sm text-muted">{t("resources.pinLead")}</p>
          <Button kind="primary" busy={busy === "pin"} onClick={() => void pin()}>
            {t("resources.pin")}
          </Button>
        </div>
      )}
    </>
  );
}

/** Says whether the target answers, which key it shows, and pins it. */
export function ProbeCard({ resource, version, mayPin }: { resource: Schemas["Resource"]; version: string; mayPin: boolean }) {
  const { t } = useTranslation();
  const test = useProbe(resource, version);
  return (
    <Card
      title={t("resources.probe")}
      actions={
        <Button onClick={() => void test.look()} busy={test.busy === "probe"}>
          <Plug aria-hidden className="size-4" />
          {t("resources.probeNow")}
        </Button>
      }
    >
      <div className="space-y-4" aria-live="polite">
        {!test.probe && !test.error && <p className="text-sm text-muted">{t("resources.probeLead")}</p>}
        <ProbeResult test={test} mayPin={mayPin} />
      </div>
    </Card>
  );
}
