import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ApiError, ok, type Schemas } from "../../api/client";
import { Button } from "../../ui/button";
import { Alert, Badge, Problem } from "../../ui/feedback";
import { Checkbox, Field, Input } from "../../ui/field";
import { A } from "../../ui/link";
import { Card, PageHead } from "../../ui/page";
import { words } from "../../ui/words";

const tones = { create: "good", update: "good", skip: "quiet", error: "danger" } as const;

/** Accounts from a CSV file: first what it would do, then it. */
export default function ImportAccounts() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [csv, setCSV] = useState("");
  const [options, setOptions] = useState({ create_resources: false, update: false });
  const [busy, setBusy] = useState<"try" | "import">();
  const [done, setDone] = useState<Schemas["AccountImport"]>();
  const [error, setError] = useState<unknown>();
  const change = (v: Partial<typeof options>) => {
    setOptions({ ...options, ...v });
    setDone(undefined);
  };
  async function run(dry: boolean) {
    setBusy(dry ? "try" : "import");
    setError(undefined);
    try {
      setDone(await ok(api.POST("/api/v1/accounts/import", { body: { csv, dry_run: dry, ...options } })));
      if (!dry) {
        setCSV(""); // it holds secrets
        await client.invalidateQueries({ queryKey: ["accounts"] });
        await client.invalidateQueries({ queryKey: ["resources"] });
      }
    } catch (e) {
      setDone(undefined);
      setError(e);
    } finally {
      setBusy(undefined);
    }
  }
  const problem = error instanceof ApiError ? error.fields.csv : undefined;
  return (
    <>
      <PageHead title={t("accounts.import")} parent={{ to: "/accounts", label: t("accounts.title") }} lead={t("accounts.importLead")} />
      <div className="space-y-6">
        <Card title={t("accounts.file")}>
          <div className="space-y-4">
            <Field label={t("accounts.csv")} hint={t("accounts.csvHint")} error={problem}>
              <Input
                type="file"
                accept=".csv,text/csv"
                onChange={(e) => {
                  setDone(undefined);
                  setError(undefined);
                  void e.target.files?.[0]?.text().then(setCSV, setError);
                }}
              />
            </Field>
            <Checkbox label={t("accounts.createResources")} checked={options.create_resources} onChange={(e) => change({ create_resources: e.target.checked })} />
            <Checkbox label={t("accounts.updateExisting")} hint={t("accounts.updateExistingHint")} checked={options.update} onChange={(e) => change({ update: e.target.checked })} />
            <div className="flex flex-wrap gap-2">
              <Button onClick={() => void run(true)} busy={busy === "try"} disabled={!csv || !!busy}>
                {t("accounts.dryRun")}
              </Button>
              <Button kind="primary" onClick={() => void run(false)} busy={busy === "import"} disabled={!csv || !!busy || !done?.dry_run}>
                {t("accounts.importNow")}
              </Button>
            </div>
            <p className="text-sm text-muted">{t("accounts.keepassHint")}</p>
          </div>
        </Card>
        <div aria-live="polite" className="space-y-6">
          {!problem && <Problem error={error} />}
          {done && (
            <>
              <Alert tone={done.failed > 0 ? "warn" : "good"} title={t(done.dry_run ? "accounts.wouldDo" : "accounts.hasDone")}>
                {t("accounts.counts", { created: done.created, updated: done.updated, skipped: done.skipped, failed: done.failed })}
              </Alert>
              <Card title={t("accounts.rows")}>
                <div className="overflow-x-auto">
                  <table className="w-full text-left text-sm">
                    <thead className="text-muted">
                      <tr>
                        {["row", "outcome", "name", "problem"].map((c) => (
                          <th key={c} scope="col" className="py-1 pr-4 font-medium">
                            {t(`accounts.${c}`)}
                          </th>
                        ))}
                      </tr>
                    </thead>
                    <tbody className="divide-y divide-line">
                      {done.rows.map((r) => (
                        <tr key={r.row} className="align-top">
                          <td className="py-1.5 pr-4">{r.row}</td>
                          <td className="py-1.5 pr-4">
                            <Badge tone={tones[r.action]}>{t(`accounts.outcomes.${r.action}`)}</Badge>
                          </td>
                          <td className="py-1.5 pr-4">
                            {r.account_id ? <A to={`/accounts/${r.account_id}`}>{r.name}</A> : <span className="name">{r.name}</span>}
                            {r.creates_resource && <span className="block text-muted">{t("accounts.newResource")}</span>}
                          </td>
                          <td className="py-1.5">
                            {r.details?.map((d) => (
                              <span key={d.field + d.problem} className="block">
                                <code className="text-xs">{d.field}</code> {words(t, d.problem)}
                              </span>
                            ))}
                          </td>
                        </tr>
                      ))}
                    </tbody>
                  </table>
                </div>
              </Card>
            </>
          )}
        </div>
      </div>
    </>
  );
}
