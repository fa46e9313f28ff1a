import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, context, ok, type Schemas } from "../../api/client";
import { useWho } from "../../api/session";
import { begin } from "../../shell/sso";
import { Button } from "../../ui/button";
import { ActDialog } from "../../ui/dialog";
import { Problem } from "../../ui/feedback";
import { Card } from "../../ui/page";

/** One's own accounts with providers, and how to link another. */
export function OwnAccounts() {
  const { t } = useTranslation();
  const who = useWho();
  const client = useQueryClient();
  const [gone, setGone] = useState<Schemas["SSOIdentity"]>();
  const [failed, setFailed] = useState<unknown>();
  const slug = who.memberships.find((m) => m.org_id === who.org)?.slug ?? "";
  const own = useQuery({ queryKey: ["sso", "own"], queryFn: () => ok(api.GET("/api/v1/me/sso-identities", { params: { query: {} } })) });
  const offers = useQuery({ queryKey: ["sso", "offers", slug], enabled: slug !== "", staleTime: 60_000, queryFn: () => ok(api.GET("/api/v1/auth/sso/{organization}", { params: { path: { organization: slug } } })) });
  const providers = context.provider ? [] : (offers.data?.providers ?? []);
  if (!own.error && !own.data?.length && providers.length === 0) return null;
  return (
    <Card title={t("sso.own")}>
      <Problem error={own.error ?? failed} />
      <ul className="divide-y divide-line">
        {own.data?.map((i) => (
          <li key={i.id} className="flex flex-wrap items-center justify-between gap-3 py-3 text-sm first:pt-0">
            <div className="min-w-0 flex-1">
              <p className="name">{i.email || i.subject}</p>
              <p className="name text-muted">{i.issuer}</p>
            </div>
            <Button onClick={() => setGone(i)} aria-label={`${t("sso.unlink")}: ${i.email || i.subject}`}>
              {t("sso.unlink")}
            </Button>
          </li>
        ))}
      </ul>
      <div className="flex flex-wrap gap-2 pt-2">
        {providers.map((p) => (
          <Button key={p.id} onClick={() => void begin(ok(api.POST("/api/v1/me/sso-identities", { body: { org_id: who.org, provider_id: p.id } }))).catch(setFailed)}>
            <span className="name">{t("sso.link", { name: p.name })}</span>
          </Button>
        ))}
      </div>
      {gone && (
        <ActDialog
          title={`${t("sso.unlink")}: ${gone.email || gone.subject}`}
          label={t("sso.unlink")}
          kind="danger"
          onClose={() => setGone(undefined)}
          act={async () => {
            await ok(api.DELETE("/api/v1/me/sso-identities/{id}", { params: { path: { id: gone.id } } }));
            setGone(undefined);
            await client.invalidateQueries({ queryKey: ["sso"] });
          }}
        >
          <p className="text-sm text-muted">{t("sso.unlinkLead")}</p>
        </ActDialog>
      )}
    </Card>
  );
}
