import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ApiError, ok, type Schemas } from "../../api/client";
import { useList, useListState } from "../../api/list";
import { Button, CopyButton } from "../../ui/button";
import { ActDialog, Dialog } from "../../ui/dialog";
import { Alert, Badge, Empty, Loading, Problem } from "../../ui/feedback";
import { Checkbox } from "../../ui/field";
import { RowLink } from "../../ui/link";
import { Card, PageHead, Time } from "../../ui/page";
import { DataTable, Filter, ListBar, type Column } from "../../ui/table";
import { eventsOf, Fields, type Draft } from "./form";
import { deliveryTones, tones } from "./tones";

export default function Notifications() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<Schemas["Webhook"]>();
  const { data, error } = useQuery({ queryKey: ["webhooks"], queryFn: () => ok(api.GET("/api/v1/webhooks")), refetchInterval: 5000 });
  const create = (
    <Button kind="primary" onClick={() => setMaking(true)}>
      <Plus aria-hidden className="size-4" />
      {t("notifications.make")}
    </Button>
  );
  return (
    <>
      <PageHead title={t("notifications.title")} lead={t("notifications.lead")} actions={create} />
      <div className="space-y-6">
        {error ? (
          <Problem error={error} />
        ) : !data ? (
          <Loading />
        ) : data.length === 0 ? (
          <Empty title={t("notifications.none")} action={create}>
            {t("notifications.noneLead")}
          </Empty>
        ) : (
          <Card title={t("notifications.webhooks")}>
            <ul className="divide-y divide-line text-sm">
              {data.map((x) => (
                <li key={x.id} className="py-3 first:pt-0 last:pb-0">
                  <p className="flex flex-wrap items-center gap-2">
                    <RowLink to={`/organization/notifications/${x.id}`}>
                      <span className="name">{x.name}</span>
                    </RowLink>
                    <Badge tone={tones[x.status]}>{t(`notifications.statuses.${x.status}`)}</Badge>
                  </p>
                  <p className="text-muted">
                    {t(`notifications.formats.${x.format}`)} · <span className="name">{x.url}</span>
                  </p>
                  {x.problem && <p className="name">{x.problem}</p>}
                </li>
              ))}
            </ul>
          </Card>
        )}
        <Letters />
      </div>
      {making && (
        <Make
          onClose={() => setMaking(false)}
          done={async (x) => {
            setMade(x);
            await client.invalidateQueries({ queryKey: ["webhooks"] });
          }}
        />
      )}
      {made?.secret && <Secret secret={made.secret} onClose={() => setMade(undefined)} />}
    </>
  );
}

/** Shows a key this once. */
export function Secret({ secret, onClose }: { secret: string; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <Dialog title={t("notifications.secret")} onClose={onClose}>
      <Alert tone="warn">{t("notifications.once")}</Alert>
      <code className="block rounded-md bg-sunken p-3 font-mono text-sm break-all">{secret}</code>
      <CopyButton text={secret} />
    </Dialog>
  );
}

function Make({ onClose, done }: { onClose: () => void; done: (x: Schemas["Webhook"]) => Promise<void> }) {
  const { t } = useTranslation();
  const [draft, setDraft] = useState<Draft>({ name: "", url: "", format: "standard", events: "" });
  const [problems, setProblems] = useState<Record<string, string>>({});
  return (
    <ActDialog
      title={t("notifications.make")}
      label={t("notifications.make")}
      disabled={!draft.url || eventsOf(draft.events).length === 0}
      onClose={onClose}
      onError={(e) => setProblems(e instanceof ApiError ? e.fields : {})}
      act={async () => done(await ok(api.POST("/api/v1/webhooks", { body: { ...draft, name: draft.name.trim(), url: draft.url.trim(), events: eventsOf(draft.events) } })))}
    >
      <Fields draft={draft} problems={problems} set={setDraft} />
    </ActDialog>
  );
}

function Letters() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [state] = useListState();
  const [failed, setFailed] = useState<unknown>();
  const { data, error } = useQuery({ queryKey: ["notifications"], queryFn: () => ok(api.GET("/api/v1/org/notifications")) });
  const query = useList("letters", state, (query) => api.GET("/api/v1/org/notifications/messages", { params: { query } }));
  const columns: Column<Schemas["Message"]>[] = [
    { label: t("notifications.to"), cell: (m) => <span className="name">{m.to}</span> },
    { label: t("notifications.kind"), cell: (m) => t(`notifications.kinds.${m.kind as "invitation"}`) },
    {
      label: t("notifications.status"),
      cell: (m) => (
        <>
          <Badge tone={deliveryTones[m.status]}>{t(`notifications.deliveries.${m.status}`)}</Badge>
          {m.problem && <p className="name line-clamp-2 text-sm">{m.problem}</p>}
        </>
      ),
    },
    { label: t("notifications.when"), wide: true, short: true, cell: (m) => <Time at={m.created_at} /> },
  ];
  const change = async (approver_email: boolean) => {
    setFailed(undefined);
    client.setQueryData(["notifications"], { ...data, approver_email });
    try {
      await ok(api.PATCH("/api/v1/org/notifications", { body: { approver_email } }));
    } catch (e) {
      setFailed(e);
    }
    await client.invalidateQueries({ queryKey: ["notifications"] });
  };
  return (
    <Card title={t("notifications.letters")}>
      <Problem error={error ?? failed} />
      {data && !data.email_available && <Alert tone="info">{t("notifications.noMail")}</Alert>}
      {data && <Checkbox label={t("notifications.approverEmail")} hint={t("notifications.approverEmailHint")} checked={data.approver_email} onChange={(e) => void change(e.target.checked)} />}
      <div className="mt-4">
        <ListBar search={false}>
          <Filter
            name="status"
            label={t("notifications.status")}
            options={{ pending: t("notifications.deliveries.pending"), sent: t("notifications.deliveries.sent"), failed: t("notifications.deliveries.failed") }}
          />
        </ListBar>
        <DataTable caption={t("notifications.letters")} query={query} columns={columns} rowKey={(m) => m.id} empty={<Empty title={t("notifications.noLetters")} />} />
      </div>
    </Card>
  );
}
