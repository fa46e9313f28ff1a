import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ApiError, ok, type Schemas } from "../../api/client";
import { Button, CopyButton } from "../../ui/button";
import { ActDialog, ConfirmByName, Dialog } from "../../ui/dialog";
import { Alert, Badge, Empty, Loading, Problem } from "../../ui/feedback";
import { Field, Input, Select } from "../../ui/field";
import { Card, PageHead, Time } from "../../ui/page";

type Token = Schemas["SCIMToken"];
const roles = ["operator", "auditor", "policy_manager"] as const;

export default function Provisioning() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<Token>();
  const [deleting, setDeleting] = useState<Token>();
  const { data, error } = useQuery({ queryKey: ["scim-tokens"], queryFn: () => ok(api.GET("/api/v1/org/sso/scim-tokens")) });
  const changed = () => client.invalidateQueries({ queryKey: ["scim-tokens"] });
  const base = `${window.location.origin}/scim/v2`;
  const create = (
    <Button kind="primary" onClick={() => setMaking(true)}>
      <Plus aria-hidden className="size-4" />
      {t("provisioning.make")}
    </Button>
  );
  return (
    <>
      <PageHead title={t("provisioning.title")} lead={t("provisioning.lead")} actions={create} />
      <div className="space-y-6">
        <Card title={t("provisioning.address")}>
          <div className="flex flex-wrap items-center gap-3">
            <code className="min-w-0 flex-1 rounded-md bg-sunken p-3 font-mono text-sm break-all">{base}</code>
            <CopyButton text={base} />
          </div>
          <p className="mt-3 max-w-prose text-sm text-muted">{t("provisioning.limits")}</p>
        </Card>
        {error ? (
          <Problem error={error} />
        ) : !data ? (
          <Loading />
        ) : data.length === 0 ? (
          <Empty title={t("provisioning.none")} action={create}>
            {t("provisioning.noneLead")}
          </Empty>
        ) : (
          <Card title={t("provisioning.tokens")}>
            <ul className="divide-y divide-line text-sm">
              {data.map((x) => (
                <li key={x.id} className="flex flex-wrap items-center justify-between gap-3 py-3 first:pt-0 last:pb-0">
                  <div className="min-w-0 flex-1">
                    <p className="flex flex-wrap items-center gap-2">
                      <span className="name font-medium">{x.name}</span>
                      {new Date(x.expires_at) <= new Date() && <Badge tone="warn">{t("provisioning.expired")}</Badge>}
                    </p>
                    <p className="text-muted">
                      {t("provisioning.brings", { role: t(`members.roles.${x.role}`) })} · {t("provisioning.expires")} <Time at={x.expires_at} /> · {x.last_used_at ? t("provisioning.used") : t("provisioning.unused")}{" "}
                      {x.last_used_at && <Time at={x.last_used_at} />}
                    </p>
                  </div>
                  <Button onClick={() => setDeleting(x)}>{t("provisioning.delete")}</Button>
                </li>
              ))}
            </ul>
          </Card>
        )}
      </div>
      {making && (
        <MakeToken
          onClose={() => setMaking(false)}
          done={async (x) => {
            setMade(x);
            await changed();
          }}
        />
      )}
      {made?.token && (
        <Dialog title={t("provisioning.made")} onClose={() => setMade(undefined)}>
          <Alert tone="warn">{t("provisioning.once")}</Alert>
          <code className="block rounded-md bg-sunken p-3 font-mono text-sm break-all">{made.token}</code>
          <CopyButton text={made.token} />
        </Dialog>
      )}
      {deleting && (
        <ConfirmByName
          title={t("provisioning.deleteTitle", { name: deleting.name })}
          label={t("provisioning.delete")}
          name={deleting.name}
          onClose={() => setDeleting(undefined)}
          act={async () => {
            await ok(api.DELETE("/api/v1/org/sso/scim-tokens/{id}", { params: { path: { id: deleting.id } } }));
            await changed();
          }}
        >
          {t("provisioning.deleteLead")}
        </ConfirmByName>
      )}
    </>
  );
}

function MakeToken({ onClose, done }: { onClose: () => void; done: (x: Token) => Promise<void> }) {
  const { t } = useTranslation();
  const [name, setName] = useState("");
  const [role, setRole] = useState<(typeof roles)[number]>("operator");
  const [days, setDays] = useState(365);
  const [problems, setProblems] = useState<Record<string, string>>({});
  return (
    <ActDialog
      title={t("provisioning.make")}
      label={t("provisioning.make")}
      disabled={!name}
      onClose={onClose}
      onError={(e) => setProblems(e instanceof ApiError ? e.fields : {})}
      act={async () => done(await ok(api.POST("/api/v1/org/sso/scim-tokens", { body: { name, role, expires_in_days: days } })))}
    >
      <Field label={t("provisioning.name")} hint={t("provisioning.nameHint")} error={problems.name}>
        <Input value={name} onChange={(e) => setName(e.target.value)} autoComplete="off" autoFocus />
      </Field>
      <Field label={t("provisioning.role")} hint={t("provisioning.roleHint")} error={problems.role}>
        <Select value={role} onChange={(e) => setRole(e.target.value as (typeof roles)[number])}>
          {roles.map((r) => (
            <option key={r} value={r}>
              {t(`members.roles.${r}`)}
            </option>
          ))}
        </Select>
      </Field>
      <Field label={t("provisioning.days")} error={problems.expires_in_days}>
        <Input type="number" min={1} max={365} value={days} onChange={(e) => setDays(e.target.valueAsNumber)} />
      </Field>
    </ActDialog>
  );
}
