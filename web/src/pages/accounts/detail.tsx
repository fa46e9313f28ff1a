import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { Dices, KeyRound, Pencil, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ApiError, ok, type Schemas } from "../../api/client";
import { useRole } from "../../api/session";
import { Button, ButtonLink } from "../../ui/button";
import { ActDialog, ConfirmByName } from "../../ui/dialog";
import { Alert, Loading } from "../../ui/feedback";
import { History } from "../../ui/history";
import { A } from "../../ui/link";
import { Unread } from "../../ui/missing";
import { Card, Fact, Facts, PageHead, Time } from "../../ui/page";
import { useToast } from "../../ui/toast";
import { RotationCard } from "../rotations/card";
import { CheckCard } from "./check";
import { EphemeralCard, inLines } from "./ephemeral";
import { CredentialFields, given, kinds, type CredentialIn } from "./form";
import { Generate } from "./generate";
import { CredentialBadge } from "./list";
import { Versions } from "./versions";

/** What may be known of the secret, and is not a time. */
const publicFacts = ["subject", "issuer", "serial", "principals", "fingerprint", "public_key"] as const;

export default function AccountDetail() {
  const { t } = useTranslation();
  const { id } = useParams({ strict: false }) as { id: string };
  const client = useQueryClient();
  const navigate = useNavigate();
  const toast = useToast();
  const [dialog, setDialog] = useState<"credential" | "generate" | "delete">();
  const changes = useRole("owner", "admin");
  const path = { id };
  const { data: a, error, refetch } = useQuery({ queryKey: ["accounts", id], queryFn: () => ok(api.GET("/api/v1/accounts/{id}", { params: { path } })) });
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
            <Button onClick={() => setDialog("generate")}>
              <Dices aria-hidden className="size-4" />
              {t("accounts.generate")}
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
            {publicFacts.map(
              (f) =>
                a.credential?.[f] && (
                  <Fact key={f} label={t(`accounts.facts_${f}`)}>
                    <code className="block font-mono text-xs break-all whitespace-pre-wrap">{[a.credential[f]].flat().join(", ")}</code>
                  </Fact>
                ),
            )}
            {a.credential?.not_after && (
              <Fact label={t("accounts.notAfter")}>
                <Time at={a.credential.not_after} />
              </Fact>
            )}
          </Facts>
        </Card>
        {a.credential?.ephemeral && <EphemeralCard value={a.credential.ephemeral} />}
        <CheckCard account={id} />
        <RotationCard account={a} />
        <Versions account={id} changed={changed} />
        <History target={id} />
      </div>
      {dialog === "credential" && <SetCredential account={a} onClose={() => setDialog(undefined)} done={changed} />}
      {dialog === "generate" && <Generate account={a} onClose={() => setDialog(undefined)} done={changed} />}
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
  const [value, setValue] = useState<CredentialIn>({ kind: kinds.find((k) => k === account.credential?.kind) ?? "password", ephemeral: account.credential?.ephemeral && inLines(account.credential.ephemeral) });
  const [problems, setProblems] = useState<Record<string, string>>({});
  return (
    <ActDialog
      title={t("accounts.setCredential")}
      label={t("accounts.store")}
      disabled={!given(value)}
      onClose={onClose}
      onError={(e) => setProblems(e instanceof ApiError ? e.fields : {})}
      act={async () => {
        await ok(api.PUT("/api/v1/accounts/{id}/credential", { params: { path: { id: account.id } }, body: value }));
        await done();
        toast(t("accounts.stored"));
      }}
    >
      <CredentialFields value={value} onChange={setValue} problems={problems} resource={account.resource_id} />
    </ActDialog>
  );
}
