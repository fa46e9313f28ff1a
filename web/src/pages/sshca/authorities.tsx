import { useQuery, useQueryClient } from "@tanstack/react-query";
import { RefreshCw, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../../api/client";
import { useRole } from "../../api/session";
import { duration, exact } from "../../format";
import { Button, CopyButton } from "../../ui/button";
import { ActDialog, ConfirmByName } from "../../ui/dialog";
import { Badge, Empty, Loading, Problem } from "../../ui/feedback";
import { Field, Select } from "../../ui/field";
import { Card, PageHead, Time } from "../../ui/page";
import { useToast } from "../../ui/toast";
import { HostKey } from "../resources/hostkey";
import { Issued } from "./issued";
import { Targets } from "./targets";

type Authority = Schemas["SSHAuthority"];

export default function Authorities() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const toast = useToast();
  const manages = useRole("owner", "admin");
  const [rotating, setRotating] = useState(false);
  const [removing, setRemoving] = useState<Authority>();
  const { data, error, refetch } = useQuery({ queryKey: ["ssh-ca"], queryFn: () => ok(api.GET("/api/v1/ssh-ca")) });
  const named = (k: Authority) => k.public_key.trim().split(/\s+/)[2] || String(k.number);
  return (
    <>
      <PageHead
        title={t("sshca.title")}
        lead={t("sshca.lead")}
        actions={
          manages &&
          data && (
            <Button onClick={() => setRotating(true)}>
              <RefreshCw aria-hidden className="size-4" />
              {t("sshca.rotate")}
            </Button>
          )
        }
      />
      {error ? (
        <Problem error={error} retry={() => void refetch()} />
      ) : !data ? (
        <Loading />
      ) : data.keys.length === 0 ? (
        <Empty title={t("sshca.none")}>{t("sshca.noneLead")}</Empty>
      ) : (
        <div className="space-y-6">
          <Card title={t("sshca.authorities")}>
            <ul className="divide-y divide-line text-sm">
              {data.keys.map((k) => (
                <li key={k.number} className="flex flex-wrap items-start justify-between gap-3 py-4 first:pt-0 last:pb-0">
                  <div className="min-w-0 flex-1 basis-72 space-y-1">
                    <p className="flex flex-wrap items-center gap-2">
                      <span className="name font-medium">{named(k)}</span>
                      <StateOf authority={k} />
                    </p>
                    <p className="text-muted">
                      {t("sshca.made")} <Time at={k.created_at} />
                    </p>
                    <HostKey line={k.public_key} />
                  </div>
                  <div className="flex gap-2">
                    <CopyButton text={k.public_key} />
                    {manages && !k.active && (
                      <Button aria-label={t("sshca.removeOf", { name: named(k) })} onClick={() => setRemoving(k)}>
                        <Trash2 aria-hidden className="size-4" />
                        {t("sshca.remove")}
                      </Button>
                    )}
                  </div>
                </li>
              ))}
            </ul>
          </Card>
          <Targets ca={data} />
          <Issued />
        </div>
      )}
      {rotating && <Rotate onClose={() => setRotating(false)} />}
      {removing && (
        <ConfirmByName
          title={t("sshca.removeOf", { name: named(removing) })}
          label={t("sshca.remove")}
          name={named(removing)}
          onClose={() => setRemoving(undefined)}
          act={async () => {
            await ok(api.DELETE("/api/v1/ssh-ca/keys/{number}", { params: { path: { number: removing.number } } }));
            await client.invalidateQueries({ queryKey: ["ssh-ca"] });
            toast(t("sshca.removed", { name: named(removing) }));
          }}
        >
          {t(ahead(removing) ? "sshca.removeAheadLead" : "sshca.removeLead")}
        </ConfirmByName>
      )}
    </>
  );
}

const ahead = (k: Authority) => !k.active && Date.parse(k.active_from) > Date.now();

function StateOf({ authority: k }: { authority: Authority }) {
  const { t } = useTranslation();
  if (k.active) return <Badge tone="good">{t("sshca.signs")}</Badge>;
  return ahead(k) ? <Badge tone="info">{t("sshca.signsFrom", { at: exact(k.active_from) })}</Badge> : <Badge>{t("sshca.before")}</Badge>;
}

const waits = [0, 3600, 86_400, 7 * 86_400, 30 * 86_400];

function Rotate({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const toast = useToast();
  const [after, setAfter] = useState(86_400);
  return (
    <ActDialog
      title={t("sshca.rotate")}
      label={t("sshca.rotate")}
      onClose={onClose}
      act={async () => {
        client.setQueryData(["ssh-ca"], await ok(api.POST("/api/v1/ssh-ca/rotate", { body: { activate_after_seconds: after } })));
        toast(t("sshca.rotated"));
      }}
    >
      <p className="text-sm text-muted">{t("sshca.rotateLead")}</p>
      <Field label={t("sshca.after")} hint={t(after ? "sshca.afterHint" : "sshca.atOnceHint")}>
        <Select value={after} onChange={(e) => setAfter(Number(e.target.value))}>
          {waits.map((s) => (
            <option key={s} value={s}>
              {s ? duration(s) : t("sshca.atOnce")}
            </option>
          ))}
        </Select>
      </Field>
    </ActDialog>
  );
}
