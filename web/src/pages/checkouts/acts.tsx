import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, ApiError, ok } from "../../api/client";
import { useWho } from "../../api/session";
import { when } from "../../format";
import { Button } from "../../ui/button";
import { ActDialog } from "../../ui/dialog";
import { Field, Input } from "../../ui/field";
import { useToast } from "../../ui/toast";
import { endable, extendable, mostExtensions, type Checkout } from "./state";

/** What can be done with a secret that is out: kept for longer, given back, or
 * taken back from somebody else. */
export function CheckoutActs({ of: c }: { of: Checkout }) {
  const { t } = useTranslation();
  const { me, role } = useWho();
  const client = useQueryClient();
  const toast = useToast();
  const [asks, setAsks] = useState<"extend" | "end">();
  const may = { extend: extendable(c, me.id), end: endable(c, me.id, role) };
  if (!may.extend && !may.end && !asks) return null;
  const mine = c.user_id === me.id;
  const about = { name: c.account_name || c.account_id, user: c.user_name || c.user_id };
  const end = t(mine ? "checkouts.giveBack" : "checkouts.takeBack");
  const endOf = t(mine ? "checkouts.giveBackOf" : "checkouts.takeBackOf", about);
  const changed = () => client.invalidateQueries({ queryKey: ["checkouts"] });
  return (
    <>
      <span className="flex flex-wrap justify-end gap-2">
        {may.extend && (
          <Button className="whitespace-nowrap" aria-label={t("checkouts.extendOf", about)} onClick={() => setAsks("extend")}>
            {t("checkouts.extend")}
          </Button>
        )}
        {may.end && (
          <Button className="whitespace-nowrap" aria-label={endOf} onClick={() => setAsks("end")}>
            {end}
          </Button>
        )}
      </span>
      {asks === "extend" && <Extend of={c} title={t("checkouts.extendOf", about)} onClose={() => setAsks(undefined)} done={changed} />}
      {asks === "end" && (
        <ActDialog
          title={endOf}
          label={end}
          kind={mine ? "primary" : "danger"}
          onClose={() => setAsks(undefined)}
          act={async () => {
            await ok(api.POST("/api/v1/checkouts/{id}/check-in", { params: { path: { id: c.id } } }));
            await changed();
            toast(t(mine ? "checkouts.gaveBack" : "checkouts.tookBack"));
          }}
        >
          <p className="name text-left text-sm text-muted">{t(mine ? "checkouts.giveBackLead" : "checkouts.takeBackLead", about)}</p>
        </ActDialog>
      )}
    </>
  );
}

function Extend({ of: c, title, onClose, done }: { of: Checkout; title: string; onClose: () => void; done: () => Promise<unknown> }) {
  const { t } = useTranslation();
  const toast = useToast();
  const [minutes, setMinutes] = useState("");
  const [problems, setProblems] = useState<Record<string, string>>({});
  return (
    <ActDialog
      title={title}
      label={t("checkouts.extend")}
      onClose={onClose}
      onError={(e) => setProblems(e instanceof ApiError ? e.fields : {})}
      act={async () => {
        const n = Number(minutes);
        const { expires_at } = await ok(api.POST("/api/v1/checkouts/{id}/extend", { params: { path: { id: c.id } }, body: n > 0 ? { duration_seconds: Math.round(n * 60) } : {} }));
        await done();
        toast(t("checkouts.extended", { at: when(expires_at) }));
      }}
    >
      <p className="text-left text-sm text-muted">{t("checkouts.extendLead", { count: mostExtensions - c.extensions })}</p>
      <div className="text-left">
        <Field label={t("checkouts.minutes")} hint={t("checkouts.minutesHint")} error={problems.duration_seconds} optional>
          <Input type="number" min={1} value={minutes} onChange={(e) => setMinutes(e.target.value)} autoFocus />
        </Field>
      </div>
    </ActDialog>
  );
}
