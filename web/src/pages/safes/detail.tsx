import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { BriefcaseMedical, Lock, LockOpen, Pencil, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../../api/client";
import { useRole } from "../../api/session";
import { duration } from "../../format";
import { Button, ButtonLink, CopyButton } from "../../ui/button";
import { ActDialog, ConfirmByName } from "../../ui/dialog";
import { Alert, Badge, Loading, Problem } from "../../ui/feedback";
import { History } from "../../ui/history";
import { RowLink } from "../../ui/link";
import { Unread } from "../../ui/missing";
import { Card, Fact, Facts, PageHead, Time } from "../../ui/page";
import { useToast } from "../../ui/toast";
import { OutNow } from "../checkouts/card";
import { PoliciesOfSafe } from "../policies/ofsafe";
import { types } from "../resources/form";
import { EmergencyCard, Named } from "./emergency";
import { Gate, useGate } from "./gate";
import { LaunchButton, LaunchTarget, mayLaunch } from "./launch";
import { Members } from "./members";
import { checkoutWords, Reveal } from "./reveal";
import { rotationWords } from "./rotation";
import { useTargets } from "./targets";

export default function SafeDetail() {
  const { t } = useTranslation();
  const { id } = useParams({ strict: false }) as { id: string };
  const client = useQueryClient();
  const navigate = useNavigate();
  const toast = useToast();
  const [dialog, setDialog] = useState<"lock" | "delete">();
  const admin = useRole("owner", "admin");
  const auditor = useRole("auditor"); // who never launches, and need not ask
  const { data: safe, error, refetch } = useQuery({ queryKey: ["safes", id], queryFn: () => ok(api.GET("/api/v1/safes/{id}", { params: { path: { id } } })) });
  const gate = useGate(safe);
  if (error) return <Unread error={error} retry={() => void refetch()} back={{ to: "/safes", label: t("safes.title") }} />;
  if (!safe) return <Loading />;

  const manages = safe.role === "manager";
  const changes = manages || admin;
  // Whoever may only request it, or is named for its emergencies, sees no more
  // than what that takes.
  const sees = !!safe.role || admin || auditor;
  const changed = () => client.invalidateQueries({ queryKey: ["safes"] });
  return (
    <>
      <PageHead
        title={safe.name}
        parent={{ to: "/safes", label: t("safes.title") }}
        lead={safe.description}
        badges={safe.locked && <Badge tone="warn">{t("safes.locked")}</Badge>}
        actions={
          <>
            {!gate.wanted && <LaunchButton safe={safe} granted={!!gate.grant} />}
            {changes && (
              <>
                <ButtonLink to={`/safes/${id}/edit`}>
                  <Pencil aria-hidden className="size-4" />
                  {t("safes.edit")}
                </ButtonLink>
                <Button onClick={() => setDialog("lock")}>
                  {safe.locked ? <LockOpen aria-hidden className="size-4" /> : <Lock aria-hidden className="size-4" />}
                  {t(safe.locked ? "safes.unlock" : "safes.lock")}
                </Button>
              </>
            )}
            {manages && !auditor && (
              <ButtonLink to={`/safes/${id}/kit`}>
                <BriefcaseMedical aria-hidden className="size-4" />
                {t("kits.button")}
              </ButtonLink>
            )}
            {(manages || (admin && safe.bindings.length === 0)) && (
              <Button onClick={() => setDialog("delete")}>
                <Trash2 aria-hidden className="size-4" />
                {t("safes.delete")}
              </Button>
            )}
          </>
        }
      />
      <div className="space-y-6">
        {safe.locked && <Alert tone="warn">{t("safes.lockedLead")}</Alert>}
        <Gate safe={safe} gate={gate} />
        {sees && !mayLaunch(safe) && !auditor && !gate.wanted && !gate.grant && <Alert tone="info">{t("safes.cannotLaunch")}</Alert>}
        <EmergencyCard safe={safe} />
        {sees && (
          <>
            <Card title={t("safes.targets")}>
              <Targets safe={safe} />
            </Card>
            <OutNow safe={id} />
            <Card title={t("safes.controls")}>
              <Controls safe={safe} />
            </Card>
            <Members safe={safe} manages={manages} />
            <PoliciesOfSafe safe={id} />
          </>
        )}
        <History target={id} />
      </div>
      {dialog === "lock" && (
        <ActDialog
          title={t(safe.locked ? "safes.unlock" : "safes.lock")}
          label={t(safe.locked ? "safes.unlock" : "safes.lock")}
          kind={safe.locked ? "primary" : "danger"}
          onClose={() => setDialog(undefined)}
          act={async () => {
            await ok(safe.locked ? api.POST("/api/v1/safes/{id}/unlock", { params: { path: { id } } }) : api.POST("/api/v1/safes/{id}/lock", { params: { path: { id } } }));
            await changed();
          }}
        >
          <p className="text-sm text-muted">{t(safe.locked ? "safes.unlockLead" : "safes.lockLead")}</p>
        </ActDialog>
      )}
      {dialog === "delete" && (
        <ConfirmByName
          title={t("safes.deleteTitle", { name: safe.name })}
          label={t("safes.delete")}
          name={safe.name}
          onClose={() => setDialog(undefined)}
          act={async () => {
            await ok(api.DELETE("/api/v1/safes/{id}", { params: { path: { id } } }));
            await changed();
            toast(t("safes.deleted", { name: safe.name }));
            void navigate({ to: "/safes" as never });
          }}
        >
          {t("safes.deleteLead")}
        </ConfirmByName>
      )}
    </>
  );
}

function Targets({ safe }: { safe: Schemas["Safe"] }) {
  const { t } = useTranslation();
  const { data, error } = useTargets(safe);
  if (safe.bindings.length === 0) return <p className="text-sm text-muted">{t(safe.role === "manager" ? "safes.noTargets" : "safes.noTargetsMember")}</p>;
  if (error) return <Problem error={error} />;
  if (!data) return <Loading />;
  const command = safe.locked ? undefined : safe.ssh_command;
  return (
    <>
      <ul className="divide-y divide-line">
        {data.map(({ resource, account }) => (
          <li key={resource.id + account.id} className="flex flex-wrap items-center justify-between gap-3 py-3 first:pt-0 last:pb-0">
            <div className="name min-w-0 text-sm">
              <RowLink to={`/accounts/${account.id}`}>{account.username}</RowLink> {t("safes.at")} <RowLink to={`/resources/${resource.id}`}>{resource.name}</RowLink>
              <p className="text-muted">
                {types[resource.type] ?? resource.type} · <code className="text-xs">{`${resource.host}:${resource.port}`}</code>
                {resource.confirmation_id && ` · ${t("safes.waits")}`}
              </p>
            </div>
            <div className="flex items-center gap-2">
              <Reveal safe={safe} account={account} />
              {data.length > 1 && (
                <>
                  {command && resource.type === "ssh" && <CopyButton text={command.replace(/'@/, `+${account.slug}@${resource.slug}'@`)} label={t("safes.copyNative")} />}
                  <LaunchTarget safe={safe} resource={resource.id} account={account.id} name={`${account.username} ${t("safes.at")} ${resource.name}`} />
                </>
              )}
            </div>
          </li>
        ))}
      </ul>
      {command && data.length === 1 && data[0]!.resource.type === "ssh" && (
        <div className="mt-4 flex flex-wrap items-center gap-x-3 gap-y-2 border-t border-line pt-4 text-sm">
          <span className="text-muted">{t("safes.native")}</span>
          <code className="min-w-0 rounded bg-sunken px-2 py-1 font-mono text-xs break-all">{command}</code>
          <CopyButton text={command} />
        </div>
      )}
    </>
  );
}

function Controls({ safe }: { safe: Schemas["Safe"] }) {
  const { t } = useTranslation();
  return (
    <Facts>
      <Fact label={t("safes.recording")}>{t(`safes.onOff.${safe.recording}`)}</Fact>
      <Fact label={t("safes.ttl")}>{duration(safe.session_ttl_seconds)}</Fact>
      <Fact label={t("safes.checkout")}>{checkoutWords(t, safe.checkout)}</Fact>
      <Fact label={t("safes.approval")}>{t(`safes.approvals.${safe.approval}`)}</Fact>
      <Fact label={t("safes.clipboard")}>{t(`safes.transfer.${safe.clipboard}`)}</Fact>
      <Fact label={t("safes.files")}>{t(`safes.transfer.${safe.file_transfer}`)}</Fact>
      <Fact label={t("safes.stepUp")}>{t(`safes.onOff.${safe.mfa_step_up ? "on" : "off"}`)}</Fact>
      <Fact label={t("safes.rotation")}>{rotationWords(t, safe.rotation)}</Fact>
      <Fact label={t("safes.emergency.title")}>
        <Named safe={safe} />
      </Fact>
      <Fact label={t("safes.visibility")}>{t(`safes.visible.${safe.visibility}`)}</Fact>
      <Fact label={t("safes.slug")}>
        <code>{safe.slug}</code>
      </Fact>
      <Fact label={t("safes.created")}>
        <Time at={safe.created_at} />
      </Fact>
    </Facts>
  );
}
