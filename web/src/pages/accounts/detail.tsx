import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { KeyRound, Pencil, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ApiError, ok, type Schemas } from "../../api/client";
import { useRole } from "../../api/session";
import { Button, ButtonLink } from "../../ui/button";
import { ActDialog, ConfirmByName } from "../../ui/dialog";
import { Alert, Badge, Loading, Problem } from "../../ui/feedback";
import { History } from "../../ui/history";
import { A } from "../../ui/link";
import { Unread } from "../../ui/missing";
import { Card, Fact, Facts, PageHead, Time } from "../../ui/page";
import { useToast } from "../../ui/toast";
import { RotationCard } from "../rotations/card";
import { CheckCard } from "./check";
import { CredentialFields, type CredentialIn } from "./form";
import { CredentialBadge } from "./list";

export default function AccountDetail() {
  const { t } = useTranslation();
  const { id } = useParams({ strict: false }) as { id: string };
  const client = useQueryClient();
  const navigate = useNavigate();
  const toast = useToast();
  const [dialog, setDialog] = useState<"credential" | "delete">();
  const changes = useRole("owner", "admin");
  const path = { id };
  const { data: a, error, refetch } = useQuery({ queryKey: ["accounts", id], queryFn: () => ok(api.GET("/api/v1/accounts/{id}", { params: { path } })) });
  const versions = useQuery({ queryKey: ["accounts", id, "versions"], queryFn: () => ok(api.GET("/api/v1/accounts/{id}/versions", { params: { path } })) });
  if (error) return <Unread error={error} retry={() => void refetch()} back={{ to: "/accounts", label: t("accounts.title") }} />;
  if (!a) return <Loading />;
  const changed = () => client.invalidateQueries({ queryKey: ["accounts"] });
  return (
    <>
      <PageHead
        title={a.name}
        parent={{ to: "/accounts", label: t("accounts.title") }}
        badges={!a.credential?.version && <CredentialBadge account={a} />}
        actions={
          <>
            <Button onClick={() => setDialog("credential")}>
              <KeyRound aria-hidden className="size-4" />
              {t("accounts.setCredential")}
            </Button>
            {changes && (
              <>
                <ButtonLink to={`/accounts/${id}/edit`}>
                  <Pencil aria-hidden className="size-4" />
                  {t("accounts.edit")}
                </ButtonLink>
                <Button onClick={() => setDialog("delete")}>
                  <Trash2 aria-hidden className="size-4" />
                  {t("accounts.delete")}
                </Button>
              </>
            )}
          </>
        }
      />
      <div className="space-y-6">
        {a.confirmation_id && (
          <Alert tone="warn" title={t("accounts.waits")}>
            <A to={`/confirmations/${a.confirmation_id}`}>{t("accounts.toConfirmation")}</A>
          </Alert>
        )}
        <Card title={t("accounts.facts")}>
          <Facts>
            <Fact label={t("accounts.username")}>
              <code>{a.username}</code>
            </Fact>
            <Fact label={t("accounts.resource")}>{a.resource_id ? <A to={`/resources/${a.resource_id}`}>{a.resource_name || a.resource_id}</A> : t("accounts.domain")}</Fact>
            <Fact label={t("accounts.created")}>
              <Time at={a.created_at} />
            </Fact>
            {a.credential?.public_key && (
              <Fact label={t("accounts.publicKey")}>
                <code className="block font-mono text-xs break-all">{a.credential.public_key}</code>
              </Fact>
            )}
          </Facts>
        </Card>
        <CheckCard account={id} />
        <RotationCard account={a} />
        <Card title={t("accounts.versions")}>
          {versions.error ? (
            <Problem error={versions.error} />
          ) : !versions.data ? (
            <Loading />
          ) : versions.data.length === 0 ? (
            <p className="text-sm text-muted">{t("accounts.noVersions")}</p>
          ) : (
            <ul className="divide-y divide-line text-sm">
              {versions.data.map((v) => (
                <li key={v.version} className="flex flex-wrap items-center justify-between gap-3 py-2 first:pt-0 last:pb-0">
                  <span>
                    <span className="font-medium">{t("accounts.version", { n: v.version })}</span> · {t(`accounts.kinds.${v.kind}`)} {v.promoted && <Badge tone="good">{t("accounts.inUse")}</Badge>}
                  </span>
                  <span className="text-muted">
                    <Time at={v.created_at} />
                  </span>
                </li>
              ))}
            </ul>
          )}
        </Card>
        <History target={id} />
      </div>
      {dialog === "credential" && <SetCredential account={a} onClose={() => setDialog(undefined)} done={changed} />}
      {dialog === "delete" && (
        <ConfirmByName
          title={t("accounts.deleteTitle", { name: a.name })}
          label={t("accounts.delete")}
          name={a.name}
          onClose={() => setDialog(undefined)}
          act={async () => {
            await ok(api.DELETE("/api/v1/accounts/{id}", { params: { path } }));
            await changed();
            toast(t("accounts.deleted", { name: a.name }));
            void navigate({ to: "/accounts" as never });
          }}
        >
          {t("accounts.deleteLead")}
        </ConfirmByName>
      )}
    </>
  );
}

function SetCredential({ account, onClose, done }: { account: Schemas["Account"]; onClose: () => void; done: () => Promise<unknown> }) {
  const { t } = useTranslation();
  const toast = useToast();
  const [value, setValue] = useState<CredentialIn>({ kind: account.credential?.kind === "ssh_key" ? "ssh_key" : "password" });
  const [problems, setProblems] = useState<Record<string, string>>({});
  return (
    <ActDialog
      title={t("accounts.setCredential")}
      label={t("accounts.store")}
      disabled={!value.value && !value.private_key}
      onClose={onClose}
      onError={(e) => setProblems(e instanceof ApiError ? e.fields : {})}
      act={async () => {
        await ok(api.PUT("/api/v1/accounts/{id}/credential", { params: { path: { id: account.id } }, body: value }));
        await done();
        toast(t("accounts.stored"));
      }}
    >
      <CredentialFields value={value} onChange={setValue} problems={problems} />
    </ActDialog>
  );
}
