import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ApiError, ok, type Schemas } from "../../api/client";
import { useList, useListState } from "../../api/list";
import { Button } from "../../ui/button";
import { ActDialog, ConfirmByName } from "../../ui/dialog";
import { Alert, Badge, Empty, Loading, Problem } from "../../ui/feedback";
import { A } from "../../ui/link";
import { Unread } from "../../ui/missing";
import { Card, Fact, Facts, PageHead, Time } from "../../ui/page";
import { DataTable, type Column } from "../../ui/table";
import { eventsOf, Fields, type Draft } from "./form";
import { Secret } from "./list";
import { deliveryTones, tones } from "./tones";

type Delivery = Schemas["WebhookDelivery"];

/** One webhook: whether it is told, of what, and how that went. */
export default function WebhookDetail() {
  const { t } = useTranslation();
  const { id } = useParams({ strict: false }) as { id: string };
  const client = useQueryClient();
  const navigate = useNavigate();
  const [state] = useListState();
  const [open, setOpen] = useState<"edit" | "delete" | "rotate">();
  const [secret, setSecret] = useState("");
  const [busy, setBusy] = useState("");
  const [tested, setTested] = useState<Delivery>();
  const [failed, setFailed] = useState<unknown>();
  const params = { path: { id } };
  const { data: x, error, refetch } = useQuery({ queryKey: ["webhooks", id], queryFn: () => ok(api.GET("/api/v1/webhooks/{id}", { params })), refetchInterval: 5000 });
  const query = useList(`deliveries ${id}`, state, (query) => api.GET("/api/v1/webhooks/{id}/deliveries", { params: { ...params, query } }));
  if (error) return <Unread error={error} retry={() => void refetch()} back={{ to: "/organization/notifications", label: t("notifications.title") }} />;
  if (!x) return <Loading />;
  const changed = async () => {
    await client.invalidateQueries({ queryKey: ["webhooks"] });
    await client.invalidateQueries({ queryKey: [`deliveries ${id}`] });
  };
  const doing = async (what: string, act: () => Promise<unknown>) => {
    setBusy(what);
    setFailed(undefined);
    setTested(undefined);
    try {
      await act();
      await changed();
    } catch (e) {
      setFailed(e);
    }
    setBusy("");
  };
  const test = () => doing("test", async () => setTested(await ok(api.POST("/api/v1/webhooks/{id}/test", { params }))));
  const set = (status: "active" | "disabled") => doing("status", () => ok(api.PATCH("/api/v1/webhooks/{id}", { params, body: { status } })));
  const again = (d: Delivery) =>
    doing(d.id, async () => setTested(await ok(api.POST("/api/v1/webhooks/{id}/deliveries/{event_id}/redeliver", { params: { path: { id, event_id: d.id } } }))));
  const columns: Column<Delivery>[] = [
    { label: t("notifications.event"), cell: (d) => <A to={`/audit/${d.id}`}>{t(`audit.events.${d.event_type as "SAFE_CREATED"}`)}</A> },
    {
      label: t("notifications.status"),
      cell: (d) => (
        <>
          <Badge tone={deliveryTones[d.status]}>{t(`notifications.deliveries.${d.status}`)}</Badge>
          {d.problem && <p className="name line-clamp-2 text-sm">{d.problem}</p>}
        </>
      ),
    },
    { label: t("notifications.attempts"), wide: true, short: true, cell: (d) => d.attempts },
    { label: "HTTP", wide: true, short: true, cell: (d) => d.http_status ?? "–" },
    { label: t("notifications.when"), wide: true, short: true, cell: (d) => <Time at={d.attempt_at} /> },
    {
      label: t("notifications.again"),
      act: true,
      cell: (d) =>
        d.event_type !== "WEBHOOK_TESTED" && (
          <Button busy={busy === d.id} onClick={() => void again(d)}>
            {t("notifications.again")}
          </Button>
        ),
    },
  ];
  return (
    <>
      <PageHead
        title={x.name}
        parent={{ to: "/organization/notifications", label: t("notifications.title") }}
        badges={<Badge tone={tones[x.status]}>{t(`notifications.statuses.${x.status}`)}</Badge>}
        actions={
          <>
            <Button kind="primary" busy={busy === "test"} onClick={() => void test()}>
              {t("notifications.test")}
            </Button>
            <Button onClick={() => setOpen("edit")}>{t("notifications.edit")}</Button>
            {x.status === "active" ? (
              <Button busy={busy === "status"} onClick={() => void set("disabled")}>
                {t("notifications.disable")}
              </Button>
            ) : (
              <Button busy={busy === "status"} onClick={() => void set("active")}>
                {t(x.status === "failing" ? "notifications.tryNow" : "notifications.enable")}
              </Button>
            )}
            {x.format === "standard" && <Button onClick={() => setOpen("rotate")}>{t("notifications.rotate")}</Button>}
            <Button kind="danger" onClick={() => setOpen("delete")}>
              {t("notifications.delete")}
            </Button>
          </>
        }
      />
      <div className="space-y-6">
        <Problem error={failed} />
        {tested && (
          <Alert tone={tested.status === "sent" ? "good" : "danger"} title={t(tested.status === "sent" ? "notifications.arrived" : "notifications.notArrived")}>
            {tested.problem}
          </Alert>
        )}
        {x.status !== "active" && (
          <Alert tone="warn" title={t(`notifications.why.${x.status}`)}>
            {x.problem} {x.next_attempt_at && <>{t("notifications.next")} </>}
            {x.next_attempt_at && <Time at={x.next_attempt_at} />}
          </Alert>
        )}
        <Card>
          <Facts>
            <Fact label={t("notifications.format")}>{t(`notifications.formats.${x.format}`)}</Fact>
            <Fact label={t("notifications.url")}>
              <span className="name">{x.url}</span>
            </Fact>
            <Fact label={t("notifications.events")}>
              <span className="font-mono">{x.events.join(" ")}</span>
            </Fact>
          </Facts>
        </Card>
        <section>
          <h2 className="mb-3 text-lg font-semibold">{t("notifications.history")}</h2>
          <DataTable caption={t("notifications.history")} query={query} columns={columns} rowKey={(d) => d.id} empty={<Empty title={t("notifications.nothing")}>{t("notifications.nothingLead")}</Empty>} />
        </section>
      </div>
      {open === "edit" && <Edit webhook={x} onClose={() => setOpen(undefined)} done={changed} />}
      {open === "rotate" && (
        <ActDialog
          title={t("notifications.rotate")}
          label={t("notifications.rotate")}
          onClose={() => setOpen(undefined)}
          act={async () => {
            const made = await ok(api.POST("/api/v1/webhooks/{id}/rotate-secret", { params }));
            setSecret(made.secret ?? "");
            await changed();
          }}
        >
          <p className="text-sm text-muted">{t("notifications.rotateLead")}</p>
        </ActDialog>
      )}
      {open === "delete" && (
        <ConfirmByName
          title={t("notifications.deleteTitle", { name: x.name })}
          label={t("notifications.delete")}
          name={x.name}
          onClose={() => setOpen(undefined)}
          act={async () => {
            await ok(api.DELETE("/api/v1/webhooks/{id}", { params }));
            await navigate({ to: "/organization/notifications" });
            await client.invalidateQueries({ queryKey: ["webhooks"], exact: true });
          }}
        >
          {t("notifications.deleteLead")}
        </ConfirmByName>
      )}
      {secret && <Secret secret={secret} onClose={() => setSecret("")} />}
    </>
  );
}

function Edit({ webhook, onClose, done }: { webhook: Schemas["Webhook"]; onClose: () => void; done: () => Promise<unknown> }) {
  const { t } = useTranslation();
  const [draft, setDraft] = useState<Draft>({ name: webhook.name, url: webhook.url, format: webhook.format, events: webhook.events.join("\n") });
  const [problems, setProblems] = useState<Record<string, string>>({});
  return (
    <ActDialog
      title={t("notifications.edit")}
      label={t("notifications.save")}
      onClose={onClose}
      onError={(e) => setProblems(e instanceof ApiError ? e.fields : {})}
      act={async () => {
        await ok(api.PATCH("/api/v1/webhooks/{id}", { params: { path: { id: webhook.id } }, body: { name: draft.name.trim(), url: draft.url.trim(), events: eventsOf(draft.events) } }));
        await done();
      }}
    >
      <Fields draft={draft} problems={problems} made set={setDraft} />
    </ActDialog>
  );
}
