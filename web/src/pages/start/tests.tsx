// The two tests of the guide: they run by themselves once, say what they have
// found, and never stand in the way.
import { useQuery } from "@tanstack/react-query";
import { LoaderCircle } from "lucide-react";
import { useEffect, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { answer, api, ok, type Schemas } from "../../api/client";
import { Button, ButtonLink } from "../../ui/button";
import { Loading, Problem } from "../../ui/feedback";
import { CheckResult, useCheck } from "../accounts/check";
import { ProbeResult, useProbe } from "../resources/probe";

/** A resource in its version, under the key of its own page. */
export function useResource(id?: string) {
  return useQuery({
    queryKey: ["resources", id],
    enabled: !!id,
    queryFn: async () => {
      const { data, response } = await answer(api.GET("/api/v1/resources/{id}", { params: { path: { id: id! } } }));
      return { resource: data, version: response.headers.get("ETag") ?? "" };
    },
  });
}

export function useAccount(id?: string) {
  return useQuery({ queryKey: ["accounts", id], enabled: !!id, queryFn: () => ok(api.GET("/api/v1/accounts/{id}", { params: { path: { id: id! } } })) });
}

export function TestServer({ id, onDone }: { id: string; onDone: () => void }) {
  const { data, error, refetch } = useResource(id);
  if (error) return <Problem error={error} retry={() => void refetch()} />;
  if (!data) return <Loading />;
  return <ServerTest resource={data.resource} version={data.version} onDone={onDone} />;
}

function ServerTest({ resource, version, onDone }: { resource: Schemas["Resource"]; version: string; onDone: () => void }) {
  const { t } = useTranslation();
  const test = useProbe(resource, version, onDone);
  useOnce(test.look);
  const { probe } = test;
  return (
    <Test running={test.busy === "probe"} good={!!probe?.reachable && (probe.pinned || !probe.host_key)} again={() => void test.look()} change={<ButtonLink to={`/resources/${resource.id}/edit`}>{t("start.change")}</ButtonLink>} onDone={onDone}>
      <ProbeResult test={test} mayPin />
    </Test>
  );
}

export function TestLogin({ id, onDone }: { id: string; onDone: () => void }) {
  const { t } = useTranslation();
  const test = useCheck(id);
  useOnce(test.check);
  return (
    <Test running={test.busy} good={!!test.result?.ok} again={() => void test.check()} change={<ButtonLink to={`/accounts/${id}`}>{t("start.change")}</ButtonLink>} onDone={onDone}>
      <CheckResult test={test} />
    </Test>
  );
}

function useOnce(act: () => Promise<void>) {
  useEffect(() => {
    void act();
    // What is tested has a component to itself.
  }, []);
}

function Test({ running, good, again, change, onDone, children }: { running: boolean; good: boolean; again: () => void; change: ReactNode; onDone: () => void; children: ReactNode }) {
  const { t } = useTranslation();
  return (
    <div className="space-y-4">
      <div aria-live="polite" className="space-y-4">
        {running && (
          <p className="flex items-center gap-2 text-sm text-muted">
            <LoaderCircle aria-hidden className="size-4 animate-spin" />
            {t("start.testing")}
          </p>
        )}
        {children}
      </div>
      <div className="flex flex-wrap gap-2">
        {good ? (
          <Button kind="primary" onClick={onDone}>
            {t("start.continue")}
          </Button>
        ) : (
          !running && (
            <>
              <Button onClick={again}>{t("ui.retry")}</Button>
              {change}
              <Button kind="quiet" onClick={onDone}>
                {t("start.continueAnyway")}
              </Button>
            </>
          )
        )}
      </div>
    </div>
  );
}
