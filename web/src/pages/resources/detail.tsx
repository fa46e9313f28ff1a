import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { Pencil, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { answer, api, ok } from "../../api/client";
import { useRole } from "../../api/session";
import { Button, ButtonLink } from "../../ui/button";
import { ConfirmByName } from "../../ui/dialog";
import { Alert, Loading } from "../../ui/feedback";
import { History } from "../../ui/history";
import { A } from "../../ui/link";
import { Unread } from "../../ui/missing";
import { Card, Fact, Facts, PageHead, Time } from "../../ui/page";
import { useToast } from "../../ui/toast";
import { types } from "./form";
import { HostKey } from "./hostkey";
import { HostKeyState } from "./list";
import { ProbeCard } from "./probe";

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
  if (error) return <Unread error={error} retry={() => void refetch()} back={{ to: "/resources", label: t("resources.title") }} />;
  if (!data) return <Loading />;
  const r = data.resource;
  return (
    <>
      <PageHead
        title={r.name}
        parent={{ to: "/resources", label: t("resources.title") }}
        badges={(r.host_keys.length === 0 || r.confirmation_id) && <HostKeyState resource={r} />}
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
            <Fact label={t("resources.type")}>{types[r.type] ?? r.type}</Fact>
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
