import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../../api/client";
import { Button } from "../../ui/button";
import { ActDialog } from "../../ui/dialog";
import { Badge, Loading, Problem } from "../../ui/feedback";
import { Field, Input } from "../../ui/field";
import { Card, Time } from "../../ui/page";
import { useToast } from "../../ui/toast";

type Version = Schemas["CredentialVersion"];

/** The history of a credential: who stored what when, and what can be done with it. */
export function Versions({ account, changed }: { account: string; changed: () => Promise<unknown> }) {
  const { t } = useTranslation();
  const toast = useToast();
  const [dialog, setDialog] = useState<{ act: "promote" | "purge" | "purgeOld"; version?: Version }>();
  const [keep, setKeep] = useState("3");
  const path = { id: account };
  const { data, error } = useQuery({ queryKey: ["accounts", account, "versions"], queryFn: () => ok(api.GET("/api/v1/accounts/{id}/versions", { params: { path } })) });
  const n = dialog?.version?.version ?? 0;
  const close = () => setDialog(undefined);
  const finish = async (text: string) => {
    await changed();
    toast(text);
  };
  return (
    <Card title={t("accounts.versions")} actions={data && data.length > 1 && <Button onClick={() => setDialog({ act: "purgeOld" })}>{t("accounts.purgeOld")}</Button>}>
      {error ? (
        <Problem error={error} />
      ) : !data ? (
        <Loading />
      ) : data.length === 0 ? (
        <p className="text-sm text-muted">{t("accounts.noVersions")}</p>
      ) : (
        <ul className="divide-y divide-line text-sm">
          {data.map((v) => (
            <li key={v.version} className="flex flex-wrap items-center justify-between gap-3 py-2 first:pt-0 last:pb-0">
              <div className="min-w-0 space-y-0.5">
                <p>
                  <span className="font-medium">{t("accounts.version", { n: v.version })}</span> · {t(`accounts.kinds.${v.kind}`)} {v.promoted && <Badge tone="good">{t("accounts.inUse")}</Badge>}{" "}
                  {v.state !== "stored" && <Badge tone="quiet">{t(`accounts.states.${v.state}`)}</Badge>}
                </p>
                <p className="text-muted">
                  <Time at={v.created_at} /> · <span className="name">{v.created_by_name || v.created_by}</span>
                  {v.not_after && (
                    <>
                      {" "}
                      · {t("accounts.notAfter")} <Time at={v.not_after} />
                    </>
                  )}
                </p>
                {v.purged_at && (
                  <p className="text-muted">
                    {t("accounts.states.purged")}: <Time at={v.purged_at} /> · <span className="name">{v.purged_by_name || v.purged_by}</span>
                  </p>
                )}
                {v.fingerprint && <code className="block font-mono text-xs break-all text-muted">{v.fingerprint}</code>}
              </div>
              {!v.promoted && (v.state === "stored" || v.state === "rejected") && (
                <div className="flex flex-wrap gap-2">
                  <Button onClick={() => setDialog({ act: "promote", version: v })} aria-label={t("accounts.promoteTitle", { n: v.version })}>
                    {t("accounts.promote")}
                  </Button>
                  <Button onClick={() => setDialog({ act: "purge", version: v })} aria-label={t("accounts.purgeTitle", { n: v.version })}>
                    {t("accounts.purge")}
                  </Button>
                </div>
              )}
            </li>
          ))}
        </ul>
      )}
      {dialog?.act === "promote" && (
        <ActDialog
          title={t("accounts.promoteTitle", { n })}
          label={t("accounts.promote")}
          onClose={close}
          act={async () => {
            await ok(api.POST("/api/v1/accounts/{id}/versions/{n}/promote", { params: { path: { ...path, n } } }));
            await finish(t("accounts.promoted", { n }));
          }}
        >
          <p className="text-sm text-muted">{t("accounts.promoteLead")}</p>
        </ActDialog>
      )}
      {dialog?.act === "purge" && (
        <ActDialog
          title={t("accounts.purgeTitle", { n })}
          label={t("accounts.purge")}
          kind="danger"
          onClose={close}
          act={async () => {
            await ok(api.DELETE("/api/v1/accounts/{id}/versions/{n}", { params: { path: { ...path, n } } }));
            await finish(t("accounts.purged"));
          }}
        >
          <p className="text-sm text-muted">{t("accounts.purgeLead")}</p>
        </ActDialog>
      )}
      {dialog?.act === "purgeOld" && (
        <ActDialog
          title={t("accounts.purgeOld")}
          label={t("accounts.purge")}
          kind="danger"
          onClose={close}
          act={async () => {
            await ok(api.POST("/api/v1/accounts/{id}/versions/purge", { params: { path }, body: { keep: Number(keep) } }));
            await finish(t("accounts.purged"));
          }}
        >
          <p className="text-sm text-muted">{t("accounts.purgeLead")}</p>
          <Field label={t("accounts.keep")}>
            <Input type="number" min={1} max={10000} value={keep} onChange={(e) => setKeep(e.target.value)} required />
          </Field>
        </ActDialog>
      )}
    </Card>
  );
}
