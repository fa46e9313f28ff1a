import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { Pencil, Power, PowerOff, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../../api/client";
import { useRole } from "../../api/session";
import { duration } from "../../format";
import { Button, ButtonLink } from "../../ui/button";
import { ActDialog, ConfirmByName } from "../../ui/dialog";
import { Alert, Badge, Loading } from "../../ui/feedback";
import { History } from "../../ui/history";
import { A } from "../../ui/link";
import { Unread } from "../../ui/missing";
import { Card, Fact, Facts, PageHead, Time } from "../../ui/page";
import { useToast } from "../../ui/toast";
import { statuses } from "./list";
import { Preview } from "./preview";
import { useConditions } from "./words";

export default function PolicyDetail() {
  const { t } = useTranslation();
  const { id } = useParams({ strict: false }) as { id: string };
  const client = useQueryClient();
  const navigate = useNavigate();
  const toast = useToast();
  const writes = useRole("owner", "admin", "policy_manager");
  const [dialog, setDialog] = useState<"turn" | "delete">();
  const [waits, setWaits] = useState("");
  const params = { path: { id } };
  const { data: p, error, refetch } = useQuery({ queryKey: ["policies", id], queryFn: () => ok(api.GET("/api/v1/policies/{id}", { params })) });
  if (error) return <Unread error={error} retry={() => void refetch()} back={{ to: "/policies", label: t("policies.title") }} />;
  if (!p) return <Loading />;
  const active = p.status === "active";
  return (
    <>
      <PageHead
        title={p.name}
        parent={{ to: "/policies", label: t("policies.title") }}
        lead={p.description}
        badges={<Badge tone={statuses[p.status]}>{t(`policies.statuses.${p.status}`)}</Badge>}
        actions={
          writes && (
            <>
              <Button kind={active ? "secondary" : "primary"} onClick={() => setDialog("turn")}>
                {active ? <PowerOff aria-hidden className="size-4" /> : <Power aria-hidden className="size-4" />}
                {t(active ? "policies.disable" : "policies.activate")}
              </Button>
              <ButtonLink to={`/policies/${id}/edit`}>
                <Pencil aria-hidden className="size-4" />
                {t("policies.edit")}
              </ButtonLink>
              <Button onClick={() => setDialog("delete")}>
                <Trash2 aria-hidden className="size-4" />
                {t("policies.delete")}
              </Button>
            </>
          )
        }
      />
      <div className="space-y-6">
        {waits && (
          <Alert tone="info">
            {t("policies.waits")} <A to={`/confirmations/${waits}`}>{t("policies.confirmation")}</A>
          </Alert>
        )}
        <Card title={t("policies.what")}>
          <What policy={p} />
        </Card>
        <Card title={t("policies.safes")}>
          <Safes ids={p.safe_ids} />
        </Card>
        {writes && (
          <Card title={t("policies.previewTitle")}>
            <Preview id={id} />
          </Card>
        )}
        <History target={id} />
      </div>
      {dialog === "turn" && (
        <ActDialog
          title={t(active ? "policies.disable" : "policies.activate")}
          label={t(active ? "policies.disable" : "policies.activate")}
          onClose={() => setDialog(undefined)}
          act={async () => {
            const now = await ok(active ? api.POST("/api/v1/policies/{id}/disable", { params }) : api.POST("/api/v1/policies/{id}/activate", { params }));
            setWaits(now.confirmation_id ?? "");
            await client.invalidateQueries();
          }}
        >
          <p className="text-sm text-muted">{t(active ? "policies.disableLead" : "policies.activateLead")}</p>
        </ActDialog>
      )}
      {dialog === "delete" && (
        <ConfirmByName
          title={t("policies.deleteTitle", { name: p.name })}
          label={t("policies.delete")}
          name={p.name}
          onClose={() => setDialog(undefined)}
          act={async () => {
            const left = (await ok(api.DELETE("/api/v1/policies/{id}", { params }) as never)) as Schemas["Policy"] | undefined;
            if (left?.confirmation_id) {
              setWaits(left.confirmation_id);
              return;
            }
            await client.invalidateQueries({ queryKey: ["policies"] });
            toast(t("policies.deleted", { name: p.name }));
            void navigate({ to: "/policies" as never });
          }}
        >
          {t("policies.deleteLead")}
        </ConfirmByName>
      )}
    </>
  );
}

function What({ policy }: { policy: Schemas["Policy"] }) {
  const { t } = useTranslation();
  const conditions = useConditions();
  const { data: members } = useQuery({ queryKey: ["members", "list", "all"], enabled: !!policy.conditions.user_ids?.length, queryFn: () => ok(api.GET("/api/v1/org/members", { params: { query: {} } })) });
  const { data: groups } = useQuery({ queryKey: ["groups", "list", "all"], enabled: !!policy.conditions.group_ids?.length, queryFn: () => ok(api.GET("/api/v1/org/groups", { params: { query: {} } })) });
  const name = (x: string) => members?.find((m) => m.user_id === x)?.email ?? groups?.find((g) => g.id === x)?.name ?? x;
  return (
    <Facts>
      <Fact label={t("policies.action")}>{t(`policies.actions.${policy.action}`)}</Fact>
      {policy.jit && <Fact label={t("policies.approvers")}>{t(policy.jit.approvers === 2 ? "policies.twoPeople" : "policies.onePerson")}</Fact>}
      {!!policy.jit?.max_seconds && <Fact label={t("policies.longest")}>{duration(policy.jit.max_seconds)}</Fact>}
      {conditions(policy.conditions).map((c) => (
        <Fact key={c.label} label={c.label}>
          <ul>
            {c.text.map((x) => (
              <li key={x}>{name(x)}</li>
            ))}
          </ul>
        </Fact>
      ))}
      {conditions(policy.conditions).length === 0 && <Fact label={t("policies.conditions")}>{t("policies.always")}</Fact>}
      <Fact label={t("policies.changed")}>
        <Time at={policy.updated_at} />
      </Fact>
    </Facts>
  );
}

function Safes({ ids }: { ids: string[] }) {
  const { t } = useTranslation();
  const { data } = useQuery({ queryKey: ["safes", "list", "all"], enabled: ids.length > 0, queryFn: () => ok(api.GET("/api/v1/safes", { params: { query: {} } })) });
  if (ids.length === 0) return <p className="text-sm text-muted">{t("policies.noSafes")}</p>;
  return (
    <ul className="grid gap-x-8 gap-y-2 text-sm sm:grid-cols-2">
      {ids.map((id) => {
        const safe = data?.find((s) => s.id === id);
        return <li key={id} className="name">{safe ? <A to={`/safes/${id}`}>{safe.name}</A> : id}</li>;
      })}
    </ul>
  );
}
