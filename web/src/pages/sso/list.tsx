import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../../api/client";
import { Button, ButtonLink, CopyButton } from "../../ui/button";
import { ActDialog } from "../../ui/dialog";
import { Badge, Loading, Problem } from "../../ui/feedback";
import { RowLink } from "../../ui/link";
import { Card, Fact, Facts, PageHead } from "../../ui/page";
import { useToast } from "../../ui/toast";
import { words } from "../../ui/words";
import { ruleWords } from "./words";

export default function SingleSignOn() {
  const { t } = useTranslation();
  return (
    <>
      <PageHead title={t("sso.title")} lead={t("sso.lead")} />
      <div className="space-y-6">
        <Providers />
        <Settings />
        <Programs />
        <Accounts />
      </div>
    </>
  );
}

function Providers() {
  const { t } = useTranslation();
  const toast = useToast();
  const { data, error } = useQuery({ queryKey: ["sso", "providers"], queryFn: () => ok(api.GET("/api/v1/org/sso/providers")) });
  const [busy, setBusy] = useState("");
  const [tested, setTested] = useState<Record<string, Schemas["SSOTest"]>>({});
  const [failed, setFailed] = useState<unknown>();
  const test = async (id: string) => {
    setBusy(id);
    setFailed(undefined);
    try {
      const result = await ok(api.POST("/api/v1/org/sso/providers/{id}/test", { params: { path: { id } } }));
      setTested((all) => ({ ...all, [id]: result }));
      if (result.ok) toast(t("sso.testOK"));
    } catch (e) {
      setFailed(e);
    }
    setBusy("");
  };
  return (
    <Card
      title={t("sso.providers")}
      actions={
        <ButtonLink to="/organization/sso/new">
          <Plus aria-hidden className="size-4" />
          {t("sso.add")}
        </ButtonLink>
      }
    >
      <Problem error={error ?? failed} />
      {!data ? (
        !error && <Loading />
      ) : data.length === 0 ? (
        <p className="text-sm text-muted">{t("sso.none")}</p>
      ) : (
        <ul className="divide-y divide-line">
          {data.map((p) => (
            <li key={p.id} className="flex flex-wrap items-center justify-between gap-3 py-3 text-sm first:pt-0 last:pb-0">
              <div className="min-w-0 flex-1 space-y-1">
                <RowLink to={`/organization/sso/${p.id}`}>
                  <span className="name">{p.name}</span>
                </RowLink>
                <p className="text-muted">
                  {t(`sso.types.${p.type}`)} · <span className="name">{p.ldap ? p.ldap.urls.join(", ") : p.issuer}</span>
                </p>
                {tested[p.id] && !tested[p.id]!.ok && <p className="text-danger-text">{words(t, tested[p.id]!.problem ?? "")}</p>}
              </div>
              <Badge tone={p.enabled ? "good" : "quiet"}>{t(p.enabled ? "sso.on" : "sso.off")}</Badge>
              <Button busy={busy === p.id} onClick={() => void test(p.id)} aria-label={`${t("sso.test")}: ${p.name}`}>
                {t("sso.test")}
              </Button>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function Settings() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const toast = useToast();
  const [changing, setChanging] = useState(false);
  const { data, error } = useQuery({ queryKey: ["sso", "settings"], queryFn: () => ok(api.GET("/api/v1/org/sso")) });
  return (
    <Card title={t("sso.signIn")} actions={data && <Button onClick={() => setChanging(true)}>{t(data.sso_only ? "sso.allowPasswords" : "sso.demand")}</Button>}>
      <Problem error={error} />
      {data && (
        <Facts>
          <Fact label={t("sso.page")}>
            <span className="name">{data.login_url}</span> <CopyButton text={data.login_url} />
          </Fact>
          <Fact label={t("sso.passwords")}>{t(data.sso_only ? "sso.passwordsOwners" : "sso.passwordsAll")}</Fact>
        </Facts>
      )}
      {changing && data && (
        <ActDialog
          title={t(data.sso_only ? "sso.allowPasswords" : "sso.demand")}
          label={t(data.sso_only ? "sso.allowPasswords" : "sso.demand")}
          onClose={() => setChanging(false)}
          act={async () => {
            await ok(api.PATCH("/api/v1/org/sso", { body: { sso_only: !data.sso_only } }));
            await client.invalidateQueries({ queryKey: ["sso"] });
            setChanging(false);
            toast(t("sso.saved"));
          }}
        >
          <p className="text-sm text-muted">{t(data.sso_only ? "sso.allowLead" : "sso.demandLead")}</p>
        </ActDialog>
      )}
    </Card>
  );
}

function Programs() {
  const { t } = useTranslation();
  const { data, error } = useQuery({ queryKey: ["sso", "programs"], queryFn: () => ok(api.GET("/api/v1/org/sso/workload-rules")) });
  return (
    <Card
      title={t("sso.programs")}
      actions={
        <ButtonLink to="/organization/sso/programs/new">
          <Plus aria-hidden className="size-4" />
          {t("sso.addProgram")}
        </ButtonLink>
      }
    >
      <p className="mb-3 text-sm text-muted">{t("sso.programsLead")}</p>
      <Problem error={error} />
      {data && data.length > 0 && (
        <ul className="divide-y divide-line">
          {data.map((r) => (
            <li key={r.id} className="flex flex-wrap items-center justify-between gap-3 py-3 text-sm first:pt-0 last:pb-0">
              <div className="min-w-0 flex-1 space-y-1">
                <RowLink to={`/organization/sso/programs/${r.id}`}>
                  <span className="name">{r.name}</span>
                </RowLink>
                <p className="name text-muted">{r.issuer}</p>
                <p className="name font-mono text-xs text-muted">{ruleWords(r)}</p>
              </div>
              <Badge tone={r.enabled ? "good" : "quiet"}>{t(r.enabled ? "sso.on" : "sso.off")}</Badge>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function Accounts() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [gone, setGone] = useState<Schemas["SSOIdentity"]>();
  const { data, error } = useQuery({ queryKey: ["sso", "identities"], queryFn: () => ok(api.GET("/api/v1/org/sso/identities", { params: { query: {} } })) });
  return (
    <Card title={t("sso.accounts")}>
      <Problem error={error} />
      {data?.length === 0 && <p className="text-sm text-muted">{t("sso.noAccounts")}</p>}
      {data && data.length > 0 && (
        <ul className="divide-y divide-line">
          {data.map((i) => (
            <li key={i.id} className="flex flex-wrap items-center justify-between gap-3 py-3 text-sm first:pt-0 last:pb-0">
              <div className="min-w-0 flex-1">
                <p className="name">{i.email || i.subject}</p>
                <p className="name text-muted">{i.issuer}</p>
              </div>
              <span className="text-muted">{t(`sso.linkedBy.${i.linked_by}`)}</span>
              <Button onClick={() => setGone(i)} aria-label={`${t("sso.unlink")}: ${i.email || i.subject}`}>
                {t("sso.unlink")}
              </Button>
            </li>
          ))}
        </ul>
      )}
      {gone && (
        <ActDialog
          title={`${t("sso.unlink")}: ${gone.email || gone.subject}`}
          label={t("sso.unlink")}
          kind="danger"
          onClose={() => setGone(undefined)}
          act={async () => {
            await ok(api.DELETE("/api/v1/org/sso/identities/{id}", { params: { path: { id: gone.id } } }));
            setGone(undefined);
            await client.invalidateQueries({ queryKey: ["sso"] });
          }}
        >
          <p className="text-sm text-muted">{t("sso.unlinkLead")}</p>
        </ActDialog>
      )}
    </Card>
  );
}
