import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ApiError, ok, type Schemas } from "../../api/client";
import { Button } from "../../ui/button";
import { ActDialog, ConfirmByName } from "../../ui/dialog";
import { Empty, Loading, Problem } from "../../ui/feedback";
import { Field, Input, TextArea } from "../../ui/field";
import { Card, PageHead, Time } from "../../ui/page";

export default function Keys() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<Schemas["SSHKey"]>();
  const { data, error } = useQuery({ queryKey: ["keys"], queryFn: () => ok(api.GET("/api/v1/me/ssh-keys")) });
  const changed = () => client.invalidateQueries({ queryKey: ["keys"] });
  const add = (
    <Button kind="primary" onClick={() => setAdding(true)}>
      <Plus aria-hidden className="size-4" />
      {t("profile.addKey")}
    </Button>
  );
  return (
    <>
      <PageHead title={t("profile.keys")} lead={t("profile.keysLead")} actions={add} />
      {error ? (
        <Problem error={error} />
      ) : !data ? (
        <Loading />
      ) : data.length === 0 ? (
        <Empty title={t("profile.noKeys")} action={add}>
          {t("profile.noKeysLead")}
        </Empty>
      ) : (
        <Card>
          <ul className="divide-y divide-line text-sm">
            {data.map((k) => (
              <li key={k.id} className="flex flex-wrap items-center justify-between gap-3 py-3 first:pt-0 last:pb-0">
                <div className="min-w-0 flex-1">
                  <p className="name font-medium">{k.name}</p>
                  <p className="text-muted">
                    <code className="text-xs break-all">{k.fingerprint}</code> · <Time at={k.created_at} />
                  </p>
                </div>
                <Button onClick={() => setRemoving(k)}>{t("profile.removeKey")}</Button>
              </li>
            ))}
          </ul>
        </Card>
      )}
      {adding && <AddKey onClose={() => setAdding(false)} done={changed} />}
      {removing && (
        <ConfirmByName
          title={t("profile.removeKeyTitle", { name: removing.name })}
          label={t("profile.removeKey")}
          name={removing.name}
          onClose={() => setRemoving(undefined)}
          act={async () => {
            await ok(api.DELETE("/api/v1/me/ssh-keys/{id}", { params: { path: { id: removing.id } } }));
            await changed();
          }}
        />
      )}
    </>
  );
}

function AddKey({ onClose, done }: { onClose: () => void; done: () => Promise<unknown> }) {
  const { t } = useTranslation();
  const [name, setName] = useState("");
  const [key, setKey] = useState("");
  const [problems, setProblems] = useState<Record<string, string>>({});
  return (
    <ActDialog
      title={t("profile.addKey")}
      label={t("profile.addKey")}
      disabled={!name || !key}
      onClose={onClose}
      onError={(e) => setProblems(e instanceof ApiError ? e.fields : {})}
      act={async () => {
        await ok(api.POST("/api/v1/me/ssh-keys", { body: { name, public_key: key.trim() } }));
        await done();
      }}
    >
      <Field label={t("profile.keyName")} error={problems.name}>
        <Input value={name} onChange={(e) => setName(e.target.value)} autoComplete="off" autoFocus />
      </Field>
      <Field label={t("profile.publicKey")} hint={t("profile.publicKeyHint")} error={problems.public_key}>
        <TextArea className="font-mono text-xs" value={key} onChange={(e) => setKey(e.target.value)} />
      </Field>
    </ActDialog>
  );
}
