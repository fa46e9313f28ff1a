import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../../api/client";
import { useRole } from "../../api/session";
import { Alert, Loading } from "../../ui/feedback";
import { Field, Input, TextArea } from "../../ui/field";
import { EditForm } from "../../ui/form";
import { A } from "../../ui/link";
import { Unread } from "../../ui/missing";
import { PageHead } from "../../ui/page";
import { HandOut, type Handed } from "./handout";

/** Makes the sealed kit of a Safe: what it is to be, and then its parts, each to
 * somebody else. */
export default function CreateKit() {
  const { t } = useTranslation();
  const { id } = useParams({ strict: false }) as { id: string };
  const looksOn = useRole("auditor");
  const safe = useQuery({ queryKey: ["safes", id], queryFn: () => ok(api.GET("/api/v1/safes/{id}", { params: { path: { id } } })) });
  const org = useQuery({ queryKey: ["org"], queryFn: () => ok(api.GET("/api/v1/org")) });
  const [want, setWant] = useState({ shares: 5, threshold: 3, reason: "" });
  const [made, setMade] = useState<Handed>();
  // Shares that nobody has seen are kept beside what React draws from, which
  // holds on to earlier states.
  const shares = useRef<string[]>([]);
  // What was made is shown whatever can be read meanwhile: it is there this once.
  if (made) {
    return (
      <>
        <PageHead title={t("kits.create", { safe: made.safe })} parent={{ to: `/safes/${id}`, label: made.safe }} lead={t("kits.createLead")} />
        <HandOut kit={made} shares={shares} back={`/safes/${id}`} />
      </>
    );
  }
  const error = safe.error ?? org.error;
  if (error) return <Unread error={error} retry={() => void Promise.all([safe.refetch(), org.refetch()])} back={{ to: "/safes", label: t("safes.title") }} />;
  if (!safe.data || !org.data) return <Loading />;
  const s = safe.data;
  const head = <PageHead title={t("kits.create", { safe: s.name })} parent={{ to: `/safes/${id}`, label: s.name }} lead={t("kits.createLead")} />;
  const hindrance = looksOn || s.role !== "manager" ? "managers" : org.data.dual_control ? "dual" : s.locked ? "locked" : !s.checkout.enabled ? "checkout" : s.bindings.length === 0 ? "nothing" : undefined;
  if (hindrance) {
    return (
      <>
        {head}
        <Alert tone="warn">
          {t(`kits.hindrances.${hindrance}`)} {(hindrance === "checkout" || hindrance === "nothing") && <A to={`/safes/${id}/edit`}>{t("safes.edit")}</A>}
        </Alert>
      </>
    );
  }
  return (
    <>
      {head}
      <EditForm
        back={`/safes/${id}`}
        label={t("kits.make")}
        save={async () => {
          const k = await ok(api.POST("/api/v1/safes/{id}/break-glass-kit", { params: { path: { id } }, body: { ...want, reason: want.reason.trim() } }));
          shares.current = k.shares;
          setMade(handed(k, s, want.threshold));
        }}
      >
        {(problems) => (
          <>
            <Alert tone="info">{t("kits.before")}</Alert>
            <div className="grid gap-4 sm:grid-cols-2">
              <Field label={t("kits.howMany")} hint={t("kits.howManyHint")} error={problems.shares}>
                <Input type="number" min={2} max={255} value={want.shares || ""} onChange={(e) => setWant({ ...want, shares: e.target.valueAsNumber || 0 })} />
              </Field>
              <Field label={t("kits.needed")} hint={t("kits.neededHint")} error={problems.threshold}>
                <Input type="number" min={2} max={want.shares} value={want.threshold || ""} onChange={(e) => setWant({ ...want, threshold: e.target.valueAsNumber || 0 })} />
              </Field>
            </div>
            {want.shares > 0 && want.shares === want.threshold && <Alert tone="warn">{t("kits.noSpare")}</Alert>}
            <Field label={t("kits.reason")} hint={t("kits.reasonHint")} error={problems.reason}>
              <TextArea rows={2} value={want.reason} onChange={(e) => setWant({ ...want, reason: e.target.value })} maxLength={1024} required />
            </Field>
          </>
        )}
      </EditForm>
    </>
  );
}

/** What is shown of a kit besides its shares. */
function handed(k: Schemas["Kit"], s: Schemas["Safe"], threshold: number): Handed {
  return {
    safe: s.name,
    file: new Blob([k.kit], { type: "application/octet-stream" }),
    name: `${s.slug}-${new Date().toISOString().slice(0, 10)}.kit`,
    total: k.shares.length,
    threshold,
    accounts: k.accounts,
    leftOut: k.left_out,
  };
}
