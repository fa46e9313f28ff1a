import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { Pencil, Plug, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { answer, api, ok, type Schemas } from "../../api/client";
import { useRole } from "../../api/session";
import { Button, ButtonLink } from "../../ui/button";
import { ConfirmByName } from "../../ui/dialog";
import { Alert, Loading, Problem } from "../../ui/feedback";
import { History } from "../../ui/history";
import { A } from "../../ui/link";
import { Card, Fact, Facts, PageHead, Time } from "../../ui/page";
import { useToast } from "../../ui/toast";
import { HostKey } from "./hostkey";
import { HostKeyState } from "./list";

export default function ResourceDetail() {
  const { t } = useTranslation();
  const { id } = useParams({ strict: false }) as { id: string };
  const client = useQueryClient();
  const navigate = useNavigate();
  const toast = useToast();
  const [deleting, setDeleting] = useState(false);
  const changes = useRole("owner", "admin");
  const { data, error, refetch } = useQuery({
    queryKey: ["resources", id],
    queryFn: async () => {
      const { data, response } = await answer(api.GET("/api/v1/resources/{id}", { params: { path: { id } } }));
      return { resource: data, version: response.headers.get("ETag") ?? "" };
    },
  });
  if (error) return <Problem error={error} retry={() => void refetch()} />;
  if (!data) return <Loading />;
  const r = data.resource;
  return (
    <>
      <PageHead
        title={r.name}
        parent={{ to: "/resources", label: t("resources.title") }}
        badges={<HostKeyState resource={r} />}
        actions={
          changes && (
            <>
              <ButtonLink to={`/resources/${id}/edit`}>
                <Pencil aria-hidden className="size-4" />
                {t("resources.edit")}
              </ButtonLink>
              <Button onClick={() => setDeleting(true)}>
                <Trash2 aria-hidden className="size-4" />
                {t("resources.delete")}
              </Button>
            </>
          )
        }
      />
      <div className="space-y-6">
        {r.confirmation_id && (
          <Alert tone="warn" title={t("resources.waits")}>
            {t("resources.waitsLead")} <A to={`/confirmations/${r.confirmation_id}`}>{t("resources.toConfirmation")}</A>
          </Alert>
        )}
        <Card title={t("resources.facts")}>
          <Facts>
            <Fact label={t("resources.type")}>{r.type}</Fact>
            <Fact label={t("resources.address")}>
              <code>
                {r.host}:{r.port}
              </code>
            </Fact>
            <Fact label={t("resources.policy")}>{t(`resources.policies.${r.host_key_policy}`)}</Fact>
            <Fact label={t("resources.created")}>
              <Time at={r.created_at} />
            </Fact>
          </Facts>
          {r.host_keys.length > 0 && (
            <div className="mt-4 space-y-1 text-sm">
              <h3 className="text-muted">{t("resources.keys")}</h3>
              {r.host_keys.map((k) => (
                <HostKey key={k} line={k} />
              ))}
            </div>
          )}
        </Card>
        <ProbeCard resource={r} version={data.version} mayPin={changes} />
        <History target={id} />
      </div>
      {deleting && (
        <ConfirmByName
          title={t("resources.deleteTitle", { name: r.name })}
          label={t("resources.delete")}
          name={r.name}
          onClose={() => setDeleting(false)}
          act={async () => {
            await ok(api.DELETE("/api/v1/resources/{id}", { params: { path: { id } } }));
            await client.invalidateQueries({ queryKey: ["resources"] });
            toast(t("resources.deleted", { name: r.name }));
            void navigate({ to: "/resources" as never });
          }}
        >
          {t("resources.deleteLead")}
        </ConfirmByName>
      )}
    </>
  );
}

/** Says whether the target answers, which key it shows, and pins it. */
export function ProbeCard({ resource, version, mayPin, onPinned }: { resource: Schemas["Resource"]; version: string; mayPin: boolean; onPinned?: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [probe, setProbe] = useState<Schemas["Probe"]>();
  const [busy, setBusy] = useState<"probe" | "pin">();
  const [error, setError] = useState<unknown>();
  const path = { id: resource.id };

  async function run(what: "probe" | "pin", act: () => Promise<void>) {
    setBusy(what);
    setError(undefined);
    try {
      await act();
    } catch (e) {
      setError(e);
    } finally {
      setBusy(undefined);
    }
  }
  const look = () =>
    run("probe", async () => {
      setProbe(await ok(api.POST("/api/v1/resources/{id}/probe", { params: { path } })));
    });
  const pin = () =>
    run("pin", async () => {
      await ok(api.PATCH("/api/v1/resources/{id}", { params: { path, header: { "If-Match": version } }, body: { host_keys: [probe!.host_key!] } as never }));
      await client.invalidateQueries({ queryKey: ["resources"] });
      setProbe({ ...probe!, pinned: true });
      onPinned?.();
    });

  return (
    <Card
      title={t("resources.probe")}
      actions={
        <Button onClick={() => void look()} busy={busy === "probe"}>
          <Plug aria-hidden className="size-4" />
          {t("resources.probeNow")}
        </Button>
      }
    >
      <div className="space-y-4" aria-live="polite">
        {!probe && !error && <p className="text-sm text-muted">{t("resources.probeLead")}</p>}
        <Problem error={error} />
        {probe && !probe.reachable && (
          <Alert tone="danger" title={t("resources.unreachable")}>
            {probe.error}
          </Alert>
        )}
        {probe?.reachable && (
          <Alert tone="good" title={t("resources.reachable")}>
            {probe.host_key && (
              <>
                <p>{t(probe.pinned ? "resources.keyIsPinned" : "resources.keyShown")}</p>
                <HostKey line={probe.host_key} />
              </>
            )}
          </Alert>
        )}
        {probe?.reachable && probe.host_key && !probe.pinned && mayPin && (
          <div className="space-y-2">
            <p className="max-w-prose text-sm text-muted">{t("resources.pinLead")}</p>
            <Button kind="primary" busy={busy === "pin"} onClick={() => void pin()}>
              {t("resources.pin")}
            </Button>
          </div>
        )}
      </div>
    </Card>
  );
}
