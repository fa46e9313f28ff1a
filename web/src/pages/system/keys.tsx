import { useQuery, useQueryClient } from "@tanstack/react-query";
import { RefreshCw } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok } from "../../api/client";
import { Button } from "../../ui/button";
import { ActDialog } from "../../ui/dialog";
import { Alert, Badge, Loading, Problem } from "../../ui/feedback";
import { Card, Fact, Facts, Time } from "../../ui/page";
import { Progress } from "../../ui/progress";

/** The keys of the vault, and how far their rotation is. */
export function Keys() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [asking, setAsking] = useState(false);
  const { data, error, refetch } = useQuery({
    queryKey: ["vault", "keys"],
    queryFn: () => ok(api.GET("/api/v1/vault/rotate-keys")),
    refetchInterval: (q) => (q.state.data?.state === "running" ? 1_000 : false),
  });
  const running = data?.state === "running";
  const failed = data?.steps.reduce((n, s) => n + s.failed, 0) ?? 0;
  return (
    <Card
      title={t("system.keys")}
      actions={
        data && (
          <Button disabled={running} onClick={() => setAsking(true)}>
            <RefreshCw aria-hidden className="size-4" />
            {t("system.keysRotate")}
          </Button>
        )
      }
    >
      <p className="mb-4 text-sm text-muted">{t("system.keysLead")}</p>
      {error ? (
        <Problem error={error} retry={() => void refetch()} />
      ) : !data ? (
        <Loading />
      ) : (
        <>
          <Facts>
            <Fact label={t("system.keysRoot")}>{t("system.keysVersion", { version: data.keys.root_version })}</Fact>
            <Fact label={t("system.keysOrgs")}>{data.keys.organization_keys}</Fact>
            <Fact label={t("system.keysOld")}>{data.keys.old_root_keys + data.keys.old_organization_keys}</Fact>
            <Fact label={t("system.keysFinished")}>{running ? <Badge tone="info">{t("system.keysRunning")}</Badge> : data.state === "none" ? t("system.keysNone") : <Time at={data.finished_at} />}</Fact>
          </Facts>
          {running &&
            data.steps.map((s) => (
              <div key={s.step} className="mt-4 text-sm">
                <p className="mb-1 flex justify-between gap-4">
                  <span>{t(`system.keysStep_${s.step}`)}</span>
                  <span className="text-muted">{t("system.keysOf", { done: s.done, total: s.total })}</span>
                </p>
                <Progress label={t(`system.keysStep_${s.step}`)} value={s.done + s.failed} max={s.total || 1} />
              </div>
            ))}
          {data.trouble && running && (
            <div className="mt-4">
              <Alert tone="warn">{data.trouble}</Alert>
            </div>
          )}
          {failed > 0 && (
            <div className="mt-4">
              <Alert tone="danger">
                <p>{t("system.keysFailed", { count: failed })}</p>
                <ul className="mt-2 list-disc pl-5">
                  {data.problems.map((p) => (
                    <li key={`${p.place} ${p.object} ${p.version}`} className="name">
                      {p.place} {p.object} {p.version}
                    </li>
                  ))}
                </ul>
              </Alert>
            </div>
          )}
        </>
      )}
      {asking && (
        <ActDialog
          title={t("system.keysRotateTitle")}
          label={t("system.keysRotate")}
          onClose={() => setAsking(false)}
          act={async () => {
            client.setQueryData(["vault", "keys"], await ok(api.POST("/api/v1/vault/rotate-keys", { body: {} })));
          }}
        >
          <p className="text-sm text-muted">{t("system.keysRotateLead")}</p>
        </ActDialog>
      )}
    </Card>
  );
}
