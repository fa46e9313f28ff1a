import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../../api/client";
import { useSession, useWho } from "../../api/session";
import { Button } from "../../ui/button";
import { ActDialog } from "../../ui/dialog";
import { Badge, Loading, Problem } from "../../ui/feedback";
import { Field, Input } from "../../ui/field";
import { EditForm } from "../../ui/form";
import { Card, PageHead, Time } from "../../ui/page";
import { useToast } from "../../ui/toast";
import { OwnAccounts } from "../sso/own";
import { clientOf } from "./client";
import { Factors } from "./factors";

export default function Security() {
  const { t } = useTranslation();
  const { me } = useWho();
  return (
    <>
      <PageHead title={t("profile.security")} lead={me.email} />
      <div className="space-y-6">
        <Name />
        <Password />
        <Factors />
        <OwnAccounts />
        <Logins />
      </div>
    </>
  );
}

function Name() {
  const { t } = useTranslation();
  const { me } = useWho();
  const { retry } = useSession();
  const toast = useToast();
  const [name, setName] = useState(me.name);
  return (
    <Card title={t("profile.you")}>
      <EditForm
        bare
        label={t("ui.save")}
        save={async () => {
          await ok(api.PATCH("/api/v1/me", { body: { name } }));
          retry();
          toast(t("profile.saved"));
        }}
      >
        {(problems) => (
          <Field label={t("profile.name")} error={problems.name}>
            <Input value={name} onChange={(e) => setName(e.target.value)} autoComplete="name" />
          </Field>
        )}
      </EditForm>
    </Card>
  );
}

function Password() {
  const { t } = useTranslation();
  const toast = useToast();
  const [current, setCurrent] = useState("");
  const [fresh, setFresh] = useState("");
  return (
    <Card title={t("profile.password")}>
      <EditForm
        bare
        label={t("profile.changePassword")}
        save={async () => {
          await ok(api.PUT("/api/v1/me/password", { body: { current_password: current, new_password: fresh } }));
          setCurrent("");
          setFresh("");
          toast(t("profile.passwordChanged"));
        }}
      >
        {(problems) => (
          <>
            <p className="text-sm text-muted">{t("profile.passwordLead")}</p>
            <Field label={t("profile.currentPassword")} error={problems.current_password}>
              <Input type="password" value={current} onChange={(e) => setCurrent(e.target.value)} autoComplete="current-password" />
            </Field>
            <Field label={t("profile.newPassword")} hint={t("shell.passwordRule")} error={problems.new_password}>
              <Input type="password" value={fresh} onChange={(e) => setFresh(e.target.value)} autoComplete="new-password" />
            </Field>
          </>
        )}
      </EditForm>
    </Card>
  );
}

function Logins() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [ending, setEnding] = useState<Schemas["Login"]>();
  const { data, error } = useQuery({ queryKey: ["logins"], queryFn: () => ok(api.GET("/api/v1/me/logins")) });
  return (
    <Card title={t("profile.logins")}>
      {error ? (
        <Problem error={error} />
      ) : !data ? (
        <Loading />
      ) : (
        <ul className="divide-y divide-line text-sm">
          {data.map((l) => (
            <li key={l.id} className="flex flex-wrap items-center justify-between gap-3 py-2.5 first:pt-0 last:pb-0">
              <div className="name min-w-0 flex-1">
                <p className="line-clamp-2" title={l.user_agent}>
                  <Client agent={l.user_agent} />
                </p>
                <p className="text-muted">
                  {l.client_ip} · <Time at={l.created_at} />
                </p>
              </div>
              {l.current ? <Badge tone="good">{t("profile.thisOne")}</Badge> : <Button onClick={() => setEnding(l)}>{t("profile.end")}</Button>}
            </li>
          ))}
        </ul>
      )}
      {ending && (
        <ActDialog
          title={t("profile.endLogin")}
          label={t("profile.end")}
          kind="danger"
          onClose={() => setEnding(undefined)}
          act={async () => {
            await ok(api.DELETE("/api/v1/me/logins/{id}", { params: { path: { id: ending.id } } }));
            await client.invalidateQueries({ queryKey: ["logins"] });
          }}
        >
          <p className="name text-sm text-muted">
            <Client agent={ending.user_agent} /> · {ending.client_ip} · <Time at={ending.created_at} />
          </p>
        </ActDialog>
      )}
    </Card>
  );
}

/** The program of a login; in its own words where nobody knows it. */
function Client({ agent }: { agent?: string }) {
  const { t } = useTranslation();
  const { program, system } = clientOf(agent ?? "");
  return <>{program && system ? t("profile.client", { program, system }) : program || agent || t("profile.unknownClient")}</>;
}
