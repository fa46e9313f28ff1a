import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Check } from "lucide-react";
import { useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { answer, api, ok } from "../../api/client";
import { useWho } from "../../api/session";
import { Button, ButtonLink } from "../../ui/button";
import { Loading, Problem } from "../../ui/feedback";
import { Field, Input } from "../../ui/field";
import { EditForm } from "../../ui/form";
import { A } from "../../ui/link";
import { PageHead } from "../../ui/page";
import { AccountFields, CredentialFields, fresh as freshAccount, type AccountIn, type CredentialIn } from "../accounts/form";
import { CheckCard } from "../accounts/detail";
import { ProbeCard } from "../resources/detail";
import { fresh as freshResource, ResourceFields } from "../resources/form";
import { fresh as freshSafe } from "../safes/form";
import { LaunchButton } from "../safes/launch";

/** What was made so far stands in the URL: the guide can be left and taken up
 * again, and every step can also be done on its own page. */
interface Made {
  resource?: string;
  account?: string;
  safe?: string;
  checked?: string;
}

export default function Guide() {
  const { t } = useTranslation();
  const who = useWho();
  const made = useSearch({ strict: false }) as Made;
  const navigate = useNavigate();
  const put = (change: Made) => void navigate({ to: "/start" as never, search: { ...made, ...change } as never });
  const org = who.memberships.find((m) => m.org_id === who.org)?.name ?? "";
  const step = !made.resource ? 1 : !made.account ? 2 : !made.safe ? 3 : 4;
  return (
    <>
      <PageHead title={t("start.title")} lead={t("start.lead")} />
      <ol className="max-w-2xl space-y-4">
        <Step n={1} now={step} title={t("start.resource")} done={made.resource && <ResourceDone id={made.resource} />} lead={t("start.organization", { name: org })}>
          <MakeResource onMade={(resource) => put({ resource })} />
        </Step>
        <Step n={2} now={step} title={t("start.account")} done={made.account && <AccountDone id={made.account} />}>
          <MakeAccount resource={made.resource!} onMade={(account) => put({ account })} />
        </Step>
        <Step n={3} now={step} title={t("start.safe")} done={made.safe && <A to={`/safes/${made.safe}`}>{t("start.toSafe")}</A>}>
          <MakeSafe resource={made.resource!} account={made.account!} onMade={(safe) => put({ safe })} />
        </Step>
        <Step n={4} now={step} title={t("start.launch")}>
          <Ready id={made.safe!} />
        </Step>
      </ol>
    </>
  );
}

function Step({ n, now, title, lead, done, children }: { n: number; now: number; title: string; lead?: string; done?: ReactNode; children: ReactNode }) {
  const { t } = useTranslation();
  return (
    <li aria-current={n === now ? "step" : undefined} className={`rounded-lg border bg-surface p-5 ${n === now ? "border-accent" : "border-line"}`}>
      <div className="flex items-center gap-3">
        <span aria-hidden className={`flex size-7 shrink-0 items-center justify-center rounded-full text-sm font-semibold ${n < now ? "bg-good-soft text-good-text" : n === now ? "bg-accent text-on-accent" : "bg-sunken text-muted"}`}>
          {n < now ? <Check className="size-4" /> : n}
        </span>
        <h2 className="text-base font-semibold">{title}</h2>
        {n < now && <span className="sr-only">{t("start.done")}</span>}
      </div>
      {n === now && lead && <p className="mt-2 text-sm text-muted">{lead}</p>}
      {n === now && <div className="mt-4">{children}</div>}
      {n < now && <div className="mt-3 space-y-3">{done}</div>}
    </li>
  );
}

function MakeResource({ onMade }: { onMade: (id: string) => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [value, setValue] = useState(freshResource);
  return (
    <EditForm
      bare
      label={t("start.next")}
      save={async () => {
        const made = await ok(api.POST("/api/v1/resources", { body: value }));
        await client.invalidateQueries({ queryKey: ["resources"] });
        onMade(made.id);
      }}
    >
      {(problems) => <ResourceFields value={value} onChange={setValue} problems={problems} />}
    </EditForm>
  );
}

function ResourceDone({ id }: { id: string }) {
  const { data, error } = useQuery({
    queryKey: ["resources", id],
    queryFn: async () => {
      const { data, response } = await answer(api.GET("/api/v1/resources/{id}", { params: { path: { id } } }));
      return { resource: data, version: response.headers.get("ETag") ?? "" };
    },
  });
  if (error) return <Problem error={error} />;
  if (!data) return <Loading />;
  return (
    <>
      <A to={`/resources/${id}`}>{data.resource.name}</A>
      <ProbeCard resource={data.resource} version={data.version} mayPin />
    </>
  );
}

function MakeAccount({ resource, onMade }: { resource: string; onMade: (id: string) => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [value, setValue] = useState<AccountIn>({ ...freshAccount, resource_id: resource });
  const [credential, setCredential] = useState<CredentialIn>({ kind: "password" });
  return (
    <EditForm
      bare
      label={t("start.next")}
      save={async () => {
        const made = await ok(api.POST("/api/v1/accounts", { body: { ...value, resource_id: resource, ...((credential.value || credential.private_key) && { credential }) } }));
        setCredential({ kind: "password" });
        await client.invalidateQueries({ queryKey: ["accounts"] });
        onMade(made.id);
      }}
    >
      {(problems) => (
        <>
          <AccountFields value={value} onChange={setValue} problems={problems} />
          <CredentialFields value={credential} onChange={setCredential} problems={problems} />
        </>
      )}
    </EditForm>
  );
}

function AccountDone({ id }: { id: string }) {
  const { data, error } = useQuery({ queryKey: ["accounts", id], queryFn: () => ok(api.GET("/api/v1/accounts/{id}", { params: { path: { id } } })) });
  if (error) return <Problem error={error} />;
  if (!data) return <Loading />;
  return (
    <>
      <A to={`/accounts/${id}`}>{data.name}</A>
      <CheckCard account={data} />
    </>
  );
}

function MakeSafe({ resource, account, onMade }: { resource: string; account: string; onMade: (id: string) => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [name, setName] = useState("");
  return (
    <EditForm
      bare
      label={t("start.next")}
      save={async () => {
        const made = await ok(api.POST("/api/v1/safes", { body: { ...freshSafe, name, bindings: [{ resource_id: resource, account_id: account }] } }));
        await client.invalidateQueries({ queryKey: ["safes"] });
        onMade(made.id);
      }}
    >
      {(problems) => (
        <Field label={t("safes.name")} hint={t("start.safeHint")} error={problems.name}>
          <Input value={name} onChange={(e) => setName(e.target.value)} autoFocus />
        </Field>
      )}
    </EditForm>
  );
}

function Ready({ id }: { id: string }) {
  const { t } = useTranslation();
  const { data, error, refetch } = useQuery({ queryKey: ["safes", id], queryFn: () => ok(api.GET("/api/v1/safes/{id}", { params: { path: { id } } })) });
  if (error) return <Problem error={error} />;
  if (!data) return <Loading />;
  return (
    <div className="space-y-4">
      <p className="text-sm text-muted">{t("start.ready")}</p>
      <div className="flex flex-wrap gap-2">
        {data.locked ? <Button onClick={() => void refetch()}>{t("ui.retry")}</Button> : <LaunchButton safe={data} />}
        <ButtonLink to={`/safes/${id}`}>{t("start.addPeople")}</ButtonLink>
      </div>
    </div>
  );
}
