import { useQuery, useQueryClient } from "@tanstack/react-query";
import { RefreshCw, Settings2, Upload as UploadIcon } from "lucide-react";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ApiError, ok, type Schemas } from "../../api/client";
import { useRole } from "../../api/session";
import { Button, ButtonLink } from "../../ui/button";
import { ActDialog } from "../../ui/dialog";
import { Alert, Loading, Problem } from "../../ui/feedback";
import { Card, CardLink, Fact, Facts, Time } from "../../ui/page";
import { Progress } from "../../ui/progress";
import { useToast } from "../../ui/toast";
import { words } from "../../ui/words";
import { RotationActs } from "./acts";
import { Flags, moves, pace, StateBadge, Versions } from "./state";
import { Upload } from "./upload";

/** How an account's credential is changed: what goes on, what can be done, and
 * what was. Whoever may not see that has no such card. */
export function RotationCard({ account }: { account: Schemas["Account"] }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const toast = useToast();
  const looksOn = useRole("auditor");
  const [dialog, setDialog] = useState<"rotate" | "upload">();
  const { id } = account;
  const settings = useQuery({
    queryKey: ["rotations", "settings", id],
    queryFn: () => ok(api.GET("/api/v1/accounts/{id}/rotation", { params: { path: { id } } })),
    retry: (n, e) => n < 3 && !(e instanceof ApiError && e.status < 500),
  });
  const past = useQuery({
    queryKey: ["rotations", "of", id],
    queryFn: () => ok(api.GET("/api/v1/rotations", { params: { query: { account_id: id, limit: 10 } } })),
    refetchInterval: (q) => pace(q.state.data),
    enabled: !!settings.data,
  });
  const health = useQuery({
    queryKey: ["rotations", "health", id],
    queryFn: () => ok(api.GET("/api/v1/credential-health", { params: { query: { account_id: id } } })),
    enabled: !!settings.data,
  });
  const open = past.data?.find((r) => !r.ended_at);
  const state = open?.state;
  // What a step has changed shows in the versions and the facts beside it.
  useEffect(() => {
    void client.invalidateQueries({ queryKey: ["accounts", id] });
    void client.invalidateQueries({ queryKey: ["rotations", "health", id] });
  }, [client, id, state]);
  if (settings.error) {
    const kept = settings.error instanceof ApiError && (settings.error.status === 403 || settings.error.status === 404);
    return kept ? null : <Problem error={settings.error} retry={() => void settings.refetch()} />;
  }
  if (!settings.data) return null;
  const changed = () => Promise.all([client.invalidateQueries({ queryKey: ["rotations"] }), client.invalidateQueries({ queryKey: ["accounts"] })]);
  const known = health.data?.[0];
  const last = past.data?.[0];
  const rotates = !!account.credential?.version && (account.credential.kind as string) !== "ephemeral";
  return (
    <Card
      title={t("rotations.card")}
      actions={
        !looksOn && (
          <span className="flex flex-wrap gap-2">
            {rotates && !open && (
              <>
                <Button onClick={() => setDialog("rotate")}>
                  <RefreshCw aria-hidden className="size-4" />
                  {t("rotations.now")}
                </Button>
                <Button onClick={() => setDialog("upload")}>
                  <UploadIcon aria-hidden className="size-4" />
                  {t("rotations.upload")}
                </Button>
              </>
            )}
            <ButtonLink to={`/accounts/${id}/rotation`}>
              <Settings2 aria-hidden className="size-4" />
              {t("rotations.settings")}
            </ButtonLink>
          </span>
        )
      }
    >
      <div className="space-y-4">
        <div aria-live="polite" aria-atomic="true">
          {open?.state === "stuck" ? (
            <Alert tone="danger" title={t("rotations.means.stuck")}>
              {open.problem && <p>{words(t, open.problem)}</p>}
              <p>{t("rotations.stuckHelp")}</p>
            </Alert>
          ) : open ? (
            <div className="space-y-2 text-sm">
              <p>
                <StateBadge state={open.state} /> {t(`rotations.means.${open.state}`)}
              </p>
              {open.problem && <p className="name text-muted">{words(t, open.problem)}</p>}
              {open.problem && open.next_attempt_at && (
                <p className="text-muted">
                  {t("rotations.next")}: <Time at={open.next_attempt_at} />
                </p>
              )}
            </div>
          ) : !rotates ? (
            <p className="text-sm text-muted">{t(account.credential?.version ? "rotations.ephemeral" : "rotations.nothing")}</p>
          ) : last?.state === "failed" ? (
            <Alert tone="warn" title={t("rotations.means.failed")}>
              {last.problem && words(t, last.problem)}
            </Alert>
          ) : (
            past.data && <p className="text-sm text-muted">{t("rotations.means.stable")}</p>
          )}
        </div>
        {open && moves(open) && <Progress label={t("rotations.title")} value={0} />}
        {known && (
          <Facts>
            <Fact label={t("rotations.wants")}>
              <Flags of={known.flags ?? []} />
            </Fact>
            <Fact label={t("rotations.check")}>
              {t(`rotations.checks.${known.check}`)} {known.checked_at && <Time at={known.checked_at} />}
            </Fact>
          </Facts>
        )}
        <div>
          <div className="mb-2 flex flex-wrap items-center justify-between gap-2">
            <h3 className="text-sm font-semibold">{t("rotations.past")}</h3>
            <CardLink to="/accounts/rotations" search={{ account_id: id }}>
              {t("rotations.all")}
            </CardLink>
          </div>
          {past.error ? (
            <Problem error={past.error} retry={() => void past.refetch()} />
          ) : !past.data ? (
            <Loading />
          ) : past.data.length === 0 ? (
            <p className="text-sm text-muted">{t("rotations.none")}</p>
          ) : (
            <ul className="divide-y divide-line text-sm">
              {past.data.map((r) => (
                <li key={r.id} className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2 py-2 first:pt-0 last:pb-0">
                  <div className="min-w-0 flex-1">
                    <p>
                      <span className="font-medium">{t(`rotations.triggers.${r.trigger}`)}</span> <StateBadge state={r.state} />
                    </p>
                    <p className="name text-muted">
                      <Versions of={r} /> · <Time at={r.created_at} />
                      {r.ended_at && (
                        <>
                          {" – "}
                          <Time at={r.ended_at} />
                        </>
                      )}
                      {" · "}
                      <By user={r.requested_by} />
                      {r.repaired && ` · ${t("rotations.repaired")}`}
                    </p>
                    {r.problem && <p className="name text-muted">{words(t, r.problem)}</p>}
                    {(r.pending?.length ?? 0) > 0 && <p className="name text-muted">{t("rotations.pending", { places: r.pending!.map((d) => d.path).join(", ") })}</p>}
                  </div>
                  <RotationActs of={r} />
                </li>
              ))}
            </ul>
          )}
        </div>
      </div>
      {dialog === "rotate" && (
        <ActDialog
          title={t("rotations.nowTitle", { name: account.name })}
          label={t("rotations.now")}
          onClose={() => setDialog(undefined)}
          act={async () => {
            await ok(api.POST("/api/v1/accounts/{id}/rotate", { params: { path: { id } } }));
            await changed();
            toast(t("rotations.begun"));
          }}
        >
          <p className="text-sm text-muted">{t("rotations.nowLead")}</p>
        </ActDialog>
      )}
      {dialog === "upload" && <Upload account={account} onClose={() => setDialog(undefined)} done={changed} />}
    </Card>
  );
}

/** Who asked for a rotation; ids stand in for people whom nobody may look up. */
export function By({ user }: { user?: string }) {
  const { t } = useTranslation();
  const reads = useRole("owner", "admin", "auditor");
  const { data } = useQuery({ queryKey: ["members", "list", "all"], queryFn: () => ok(api.GET("/api/v1/org/members", { params: { query: {} } })), enabled: reads && !!user, staleTime: 60_000 });
  if (!user) return <>{t("rotations.byServer")}</>;
  return <span className="name">{data?.find((m) => m.user_id === user)?.email ?? user}</span>;
}
