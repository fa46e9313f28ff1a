import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { CirclePlay } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok } from "../../api/client";
import { bytes, clock } from "../../format";
import { Button, buttonClass } from "../../ui/button";
import { Alert, Badge, Loading } from "../../ui/feedback";
import { History } from "../../ui/history";
import { A } from "../../ui/link";
import { Unread } from "../../ui/missing";
import { Card, Fact, Facts, PageHead, Time } from "../../ui/page";
import { EmergencyMark } from "../checkouts/state";
import { isOpen, Terminate, tones } from "./list";

export default function SessionDetail() {
  const { t } = useTranslation();
  const { id } = useParams({ strict: false }) as { id: string };
  const [ending, setEnding] = useState(false);
  const { data: s, error, refetch } = useQuery({
    queryKey: ["sessions", id],
    queryFn: () => ok(api.GET("/api/v1/sessions/{id}", { params: { path: { id } } })),
    refetchInterval: (q) => (q.state.data && isOpen(q.state.data) ? 2000 : false),
  });
  if (error) return <Unread error={error} retry={() => void refetch()} back={{ to: "/sessions", label: t("sessions.title") }} />;
  if (!s) return <Loading />;
  const length = Date.parse(s.ended_at ?? new Date().toISOString()) - Date.parse(s.started_at);
  return (
    <>
      <PageHead
        title={t("sessions.of", { user: s.user_email, safe: s.safe_name || s.safe_id })}
        parent={{ to: "/sessions", label: t("sessions.title") }}
        badges={
          <>
            <Badge tone={s.status === "ended" ? "plain" : tones[s.status]}>{t(`sessions.statuses.${s.status}`)}</Badge>
            <EmergencyMark of={s} />
          </>
        }
        actions={
          <>
            {isOpen(s) && (
              <Button kind="danger" onClick={() => setEnding(true)}>
                {t("sessions.terminate")}
              </Button>
            )}
            {s.recording_id && (
              <a href={`/recordings/${s.recording_id}`} className={buttonClass("primary")}>
                <CirclePlay aria-hidden className="size-4" />
                {t("sessions.replay")}
              </a>
            )}
          </>
        }
      />
      <div className="space-y-6">
        {s.status === "failed" && <Alert tone="danger" title={t("sessions.failed")}>{s.end_reason}</Alert>}
        <Card title={t("sessions.facts")}>
          <Facts>
            <Fact label={t("sessions.user")}>{s.user_email}</Fact>
            <Fact label={t("sessions.clientIp")}>{s.client_ip}</Fact>
            <Fact label={t("sessions.safe")}>
              <A to={`/safes/${s.safe_id}`}>{s.safe_name || s.safe_id}</A>
            </Fact>
            <Fact label={t("sessions.target")}>
              <A to={`/accounts/${s.account_id}`}>{s.account_name || s.account_id}</A> {t("safes.at")} <A to={`/resources/${s.resource_id}`}>{s.resource_name || s.resource_id}</A>
            </Fact>
            <Fact label={t("sessions.started")}>
              <Time at={s.started_at} />
            </Fact>
            <Fact label={t("sessions.length")}>{clock(length)}</Fact>
            {!isOpen(s) && <Fact label={t("sessions.endReason")}>{s.end_reason || t("sessions.leftByUser")}</Fact>}
            <Fact label={t("sessions.traffic")}>
              {t("sessions.inOut", { in: bytes(s.bytes_in), out: bytes(s.bytes_out) })}
            </Fact>
          </Facts>
        </Card>
        <History target={id} />
      </div>
      {ending && <Terminate session={s} onClose={() => setEnding(false)} />}
    </>
  );
}
