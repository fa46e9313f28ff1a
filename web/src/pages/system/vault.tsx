import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Lock } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok } from "../../api/client";
import { useSession, useWho } from "../../api/session";
import { Button } from "../../ui/button";
import { ActDialog } from "../../ui/dialog";
import { Badge, Loading, Problem } from "../../ui/feedback";
import { Card, Fact, Facts, PageHead } from "../../ui/page";
import { Keys } from "./keys";

/** The vault of the whole server, for its administrators. While it is sealed
 * no page is left but the one that opens it: see shell/sealed.tsx. */
export default function Vault() {
  const { t } = useTranslation();
  const { me } = useWho();
  const { retry } = useSession();
  const client = useQueryClient();
  const [sealing, setSealing] = useState(false);
  const { data, error, refetch } = useQuery({ queryKey: ["vault"], queryFn: () => ok(api.GET("/api/v1/vault/status")) });
  return (
    <>
      <PageHead
        title={t("system.title")}
        lead={t("system.lead")}
        actions={
          me.instance_admin && (
            <Button onClick={() => setSealing(true)}>
              <Lock aria-hidden className="size-4" />
              {t("system.seal")}
            </Button>
          )
        }
      />
      {error ? (
        <Problem error={error} retry={() => void refetch()} />
      ) : !data ? (
        <Loading />
      ) : (
        <Card title={t("system.vault")}>
          <Facts>
            <Fact label={t("system.state")}>
              <Badge tone={data.sealed ? "danger" : "good"}>{t(data.sealed ? "overview.sealed" : "overview.open")}</Badge>
            </Fact>
            <Fact label={t("system.opens")}>{data.seal_kind === "keyfile" ? t("system.keyfile") : data.seal_kind}</Fact>
          </Facts>
        </Card>
      )}
      {me.instance_admin && <Keys />}
      {sealing && (
        <ActDialog
          title={t("system.sealTitle")}
          label={t("system.seal")}
          kind="danger"
          onClose={() => setSealing(false)}
          act={async () => {
            await ok(api.POST("/api/v1/vault/seal"));
            await client.cancelQueries();
            retry();
          }}
        >
          <p className="text-sm text-muted">{t("system.sealLead")}</p>
        </ActDialog>
      )}
    </>
  );
}
