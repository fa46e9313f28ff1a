import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ApiError, ok, type Schemas } from "../../api/client";
import { Button, CopyButton } from "../../ui/button";
import { ActDialog, ConfirmByName, Dialog } from "../../ui/dialog";
import { Alert, Empty, Loading, Problem } from "../../ui/feedback";
import { Checkbox, Field, Input } from "../../ui/field";
import { Card, PageHead, Time } from "../../ui/page";

type Token = Schemas["PersonalAccessToken"];

/** What a token may be given, in groups as people think of them. */
const scopes: Record<string, string[]> = {
  use: ["safes:read", "sessions:launch", "sessions:read", "sessions:terminate", "credentials:checkout", "recordings:read"],
  administer: ["safes:write", "resources:read", "resources:write", "accounts:read", "accounts:write", "members:read", "members:write", "org:read", "org:write"],
  oversee: ["audit:read", "policies:read", "requests:read"],
};

export default function Tokens() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<Token>();
  const [revoking, setRevoking] = useState<Token>();
  const { data, error } = useQuery({ queryKey: ["tokens"], queryFn: () => ok(api.GET("/api/v1/personal-access-tokens")) });
  const changed = () => client.invalidateQueries({ queryKey: ["tokens"] });
  const create = (
    <Button kind="primary" onClick={() => setMaking(true)}>
      <Plus aria-hidden className="size-4" />
      {t("profile.makeToken")}
    </Button>
  );
  return (
    <>
      <PageHead title={t("profile.tokens")} lead={t("profile.tokensLead")} actions={create} />
      {error ? (
        <Problem error={error} />
      ) : !data ? (
        <Loading />
      ) : data.length === 0 ? (
        <Empty title={t("profile.noTokens")} action={create}>
          {t("profile.noTokensLead")}
        </Empty>
      ) : (
        <Card>
          <ul className="divide-y divide-line text-sm">
            {data.map((x) => (
              <li key={x.id} className="flex flex-wrap items-center justify-between gap-3 py-3 first:pt-0 last:pb-0">
                <div className="min-w-0 flex-1">
                  <p className="name font-medium">{x.name}</p>
                  <p className="text-muted">
                    {t("profile.ends")} <Time at={x.expires_at} /> · {x.scopes.join(", ")}
                  </p>
                </div>
                <Button onClick={() => setRevoking(x)}>{t("profile.revoke")}</Button>
              </li>
            ))}
          </ul>
        </Card>
      )}
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
        <Dialog title={t("profile.tokenMade")} onClose={() => setMade(undefined)}>
          <Alert tone="warn">{t("profile.shownOnce")}</Alert>
          <code className="block rounded-md bg-sunken p-3 font-mono text-sm break-all">{made.token}</code>
          <CopyButton text={made.token} />
        </Dialog>
      )}
      {revoking && (
        <ConfirmByName
          title={t("profile.revokeTitle", { name: revoking.name })}
          label={t("profile.revoke")}
          name={revoking.name}
          onClose={() => setRevoking(undefined)}
          act={async () => {
            await ok(api.DELETE("/api/v1/personal-access-tokens/{id}", { params: { path: { id: revoking.id } } }));
            await changed();
          }}
        >
          {t("profile.revokeLead")}
        </ConfirmByName>
      )}
    </>
  );
}

function MakeToken({ onClose, done }: { onClose: () => void; done: (x: Token) => Promise<void> }) {
  const { t } = useTranslation();
  const [name, setName] = useState("");
  const [days, setDays] = useState(30);
  const [chosen, setChosen] = useState<string[]>(["safes:read"]);
  const [problems, setProblems] = useState<Record<string, string>>({});
  return (
    <ActDialog
      wide
      title={t("profile.makeToken")}
      label={t("profile.makeToken")}
      disabled={!name || chosen.length === 0}
      onClose={onClose}
      onError={(e) => setProblems(e instanceof ApiError ? e.fields : {})}
      act={async () => done(await ok(api.POST("/api/v1/personal-access-tokens", { body: { name, scopes: chosen, expires_in_days: days } })))}
    >
      <Field label={t("profile.tokenName")} hint={t("profile.tokenNameHint")} error={problems.name}>
        <Input value={name} onChange={(e) => setName(e.target.value)} autoComplete="off" autoFocus />
      </Field>
      <Field label={t("profile.days")} error={problems.expires_in_days}>
        <Input type="number" min={1} max={180} value={days} onChange={(e) => setDays(e.target.valueAsNumber)} />
      </Field>
      {problems.scopes && <p className="text-sm text-danger-text">{problems.scopes}</p>}
      <div className="grid gap-6 sm:grid-cols-3">
        {Object.entries(scopes).map(([group, list]) => (
          <fieldset key={group} className="space-y-2">
            <legend className="pb-1 text-sm font-semibold">{t(`profile.scopes.${group}`)}</legend>
            {list.map((s) => (
              <Checkbox key={s} label={<code className="text-xs">{s}</code>} checked={chosen.includes(s)} onChange={(e) => setChosen(e.target.checked ? [...chosen, s] : chosen.filter((x) => x !== s))} />
            ))}
          </fieldset>
        ))}
      </div>
    </ActDialog>
  );
}
