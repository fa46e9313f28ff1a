import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ApiError, ok } from "../../api/client";
import { useWho } from "../../api/session";
import { Button } from "../../ui/button";
import { Alert, Loading, Problem } from "../../ui/feedback";
import { Field, Input } from "../../ui/field";
import { Card, Fact, Facts, PageHead, Time } from "../../ui/page";

/** A program without a browser asks for a login: who is it, and may it? */
export default function Device() {
  const { t } = useTranslation();
  const { code = "" } = useSearch({ strict: false }) as { code?: string };
  return (
    <>
      <PageHead title={t("profile.device")} lead={t("profile.deviceLead")} />
      {code ? <Decide key={code} code={code} /> : <Code />}
    </>
  );
}

function Code({ wrong }: { wrong?: string }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [code, setCode] = useState(wrong ?? "");
  return (
    <Card>
      <form
        className="max-w-sm space-y-4"
        onSubmit={(e) => {
          e.preventDefault();
          void navigate({ to: "/device", search: { code: code.trim() } });
        }}
      >
        <Field label={t("profile.deviceCode")} hint={t("profile.deviceCodeHint")} error={wrong && t("profile.deviceGone")}>
          <Input value={code} onChange={(e) => setCode(e.target.value)} required maxLength={64} autoComplete="off" autoFocus className="font-mono uppercase" />
        </Field>
        <Button type="submit" kind="primary">
          {t("profile.deviceGoOn")}
        </Button>
      </form>
    </Card>
  );
}

function Decide({ code }: { code: string }) {
  const { t } = useTranslation();
  const { me } = useWho();
  const params = { path: { user_code: code } };
  const { data: d, error, refetch } = useQuery({
    queryKey: ["device", code],
    queryFn: () => ok(api.GET("/api/v1/auth/device/{user_code}", { params: { path: { user_code: code } } })),
    retry: false,
    refetchOnWindowFocus: false,
  });
  const decide = useMutation({
    mutationFn: (approve: boolean) => ok(approve ? api.POST("/api/v1/auth/device/{user_code}/approve", { params }) : api.POST("/api/v1/auth/device/{user_code}/deny", { params })),
  });
  if (decide.data) {
    const good = decide.data.status === "approved";
    return <Alert tone={good ? "good" : "info"}>{good ? t(decide.data.kind === "connection" ? "profile.connectionApproved" : "profile.deviceApproved") : t("profile.deviceDenied")}</Alert>;
  }
  if (error instanceof ApiError && error.code === "NOT_FOUND") return <Code wrong={code} />;
  if (error) return <Problem error={error} retry={() => void refetch()} />;
  if (!d) return <Loading />;
  return (
    <Card>
      <div className="space-y-5">
        <Facts>
          <Fact label={t("profile.deviceCode")}>
            <span className="font-mono text-lg tracking-wider">{d.user_code}</span>
          </Fact>
          <Fact label={t("profile.deviceProgram")}>{d.client_name || t("profile.unknownClient")}</Fact>
          <Fact label={t("profile.deviceFrom")}>{d.client_ip}</Fact>
          <Fact label={t("profile.deviceAsked")}>
            <Time at={d.created_at} />
          </Fact>
        </Facts>
        <Alert tone="warn">{t(d.kind === "connection" ? "profile.connectionWarning" : "profile.deviceWarning", { email: me.email })}</Alert>
        <Problem error={decide.error} />
        <div className="flex flex-wrap gap-2">
          <Button kind="primary" busy={decide.isPending && decide.variables} onClick={() => decide.mutate(true)}>
            {t("profile.deviceApprove")}
          </Button>
          <Button busy={decide.isPending && !decide.variables} onClick={() => decide.mutate(false)}>
            {t("profile.deviceDeny")}
          </Button>
        </div>
      </div>
    </Card>
  );
}
