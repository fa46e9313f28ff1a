import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Check } from "lucide-react";
import { useEffect, useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../../api/client";
import { useWho } from "../../api/session";
import { Button, ButtonLink } from "../../ui/button";
import { Loading, Problem } from "../../ui/feedback";
import { Field, Input } from "../../ui/field";
import { EditForm } from "../../ui/form";
import { A, rowLink } from "../../ui/link";
import { PageHead } from "../../ui/page";
import { CredentialFields, type CredentialIn } from "../accounts/form";
import { CredentialBadge } from "../accounts/list";
import { AddressFields, fresh as freshResource } from "../resources/form";
import { HostKeyState } from "../resources/list";
import { fresh as freshSafe } from "../safes/form";
import { LaunchButton, mayLaunch } from "../safes/launch";
import { TestLogin, TestServer, useAccount, useResource } from "./tests";

/** What was made so far stands in the URL: the guide can be left and taken up
 * again, and every step can also be done on its own page. */
interface Made {
  resource?: string;
  reached?: string; // "1": its test is over
  account?: string;
  checked?: string;
  safe?: string;
}

export default function Guide() {
  const { t } = useTranslation();
  const who = useWho();
  const made = useSearch({ strict: false }) as Made;
  const navigate = useNavigate();
  const show = (search: Made, replace = false) => void navigate({ to: "/start" as never, search: search as never, replace });
  const put = (change: Made) => show({ ...made, ...change });
  const org = who.memberships.find((m) => m.org_id === who.org)?.name ?? "";
  const { data: server } = useResource(made.resource);
  const now = !made.reached ? 1 : !made.checked ? 2 : !made.safe ? 3 : 4;
  // Who looks at another page in between comes back to where they were.
  const at = JSON.stringify(made);
  useEffect(() => {
    const left = sessionStorage.getItem("guide");
    if (now === 4) sessionStorage.removeItem("guide");
    else if (made.resource) sessionStorage.setItem("guide", at);
    else if (left) show(JSON.parse(left) as Made, true);
  }, [at]);
  const restart = () => {
    sessionStorage.removeItem("guide");
    show({});
  };
  return (
    <>
      <PageHead title={t("start.title")} lead={t("start.lead")} actions={made.resource && <Button onClick={restart}>{t("start.restart")}</Button>} />
      {!made.resource && <Demo />}
      <ol className="max-w-2xl space-y-4">
        <Step n={1} now={now} title={t("start.resource")} lead={t("start.resourceLead", { name: org })} done={<ServerMade id={made.resource} />}>
          {made.resource ? <TestServer id={made.resource} onDone={() => put({ reached: "1" })} /> : <MakeServer onMade={(resource) => put({ resource })} />}
        </Step>
        <Step n={2} now={now} title={t("start.account")} lead={t("start.accountLead")} done={<LoginMade id={made.account} />}>
          {made.account ? <TestLogin id={made.account} onDone={() => put({ checked: "1" })} /> : <MakeLogin server={server?.resource} onMade={(account) => put({ account })} />}
        </Step>
        <Step n={3} now={now} title={t("start.safe")} lead={t("start.safeLead")} done={<SafeMade id={made.safe} />}>
          <MakeSafe name={server?.resource.name ?? ""} resource={made.resource!} account={made.account!} onMade={(safe) => put({ safe })} />
        </Step>
        <Step n={4} now={now} title={t("start.launch")} lead={t("start.launchLead")}>
          <Ready id={made.safe!} />
        </Step>
      </ol>
    </>
  );
}

/** The Safe of dev mode, for who wants to look before making anything. */
function Demo() {
  const { t } = useTranslation();
  const { data } = useQuery({ queryKey: ["safes", "demo"], queryFn: () => ok(api.GET("/api/v1/safes", { params: { query: { q: "demo", limit: 10 } } })) });
  const demo = data?.find((s) => s.slug === "demo" && mayLaunch(s) && !s.locked && s.bindings.length > 0);
  if (!demo) return null;
  return (
    <div className="mb-4 flex max-w-2xl flex-wrap items-center justify-between gap-x-6 gap-y-2 rounded-lg bg-info-soft px-5 py-3 text-sm text-info-text">
      <p className="name min-w-0 flex-1 basis-64">{t("start.demo", { name: demo.name })}</p>
      <LaunchButton safe={demo} compact />
    </div>
  );
}

function Step({ n, now, title, lead, done, children }: { n: number; now: number; title: string; lead: string; done?: ReactNode; children: ReactNode }) {
  const { t } = useTranslation();
  const state = n < now ? "done" : n === now ? "now" : "later";
  const circle = { done: "bg-good-soft text-good-text", now: "bg-accent text-on-accent", later: "border border-line-strong text-muted" }[state];
  return (
    <li aria-current={state === "now" ? "step" : undefined} className={`grid grid-cols-[1.75rem_minmax(0,1fr)] gap-x-4 rounded-lg border p-5 ${state === "now" ? "border-accent bg-surface" : "border-line bg-surface"}`}>
      <span aria-hidden className={`flex size-7 items-center justify-center rounded-full text-sm font-semibold ${circle}`}>
        {state === "done" ? <Check className="size-4" /> : n}
      </span>
      <div className="min-w-0">
        <h2 className={`text-base leading-7 font-semibold ${state === "later" ? "text-muted" : ""}`}>
          {title}
          {state === "done" && <span className="sr-only"> ({t("start.done")})</span>}
        </h2>
        {state === "done" ? <div className="mt-1 text-sm">{done}</div> : <p className="name max-w-prose text-sm text-muted">{lead}</p>}
        {state === "now" && <div className="mt-4">{children}</div>}
      </div>
    </li>
  );
}

const line = "flex flex-wrap items-center gap-x-3 gap-y-1";

function ServerMade({ id }: { id?: string }) {
  const { data, error } = useResource(id);
  if (error) return <Problem error={error} />;
  if (!data) return null;
  return (
    <p className={line}>
      <A to={`/resources/${id}`} className={rowLink}>
        {data.resource.name}
      </A>
      <HostKeyState resource={data.resource} />
    </p>
  );
}

function LoginMade({ id }: { id?: string }) {
  const { data, error } = useAccount(id);
  if (error) return <Problem error={error} />;
  if (!data) return null;
  return (
    <p className={line}>
      <A to={`/accounts/${id}`} className={rowLink}>
        {data.name}
      </A>
      <CredentialBadge account={data} />
    </p>
  );
}

function useSafe(id?: string) {
  return useQuery({ queryKey: ["safes", id], enabled: !!id, queryFn: () => ok(api.GET("/api/v1/safes/{id}", { params: { path: { id: id! } } })) });
}

function SafeMade({ id }: { id?: string }) {
  const { data } = useSafe(id);
  return data ? (
    <p className="name">
      <A to={`/safes/${id}`} className={rowLink}>
        {data.name}
      </A>
    </p>
  ) : null;
}

function MakeServer({ onMade }: { onMade: (id: string) => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [value, setValue] = useState(freshResource);
  return (
    <EditForm
      bare
      label={t("start.saveAndTest")}
      save={async () => {
        const made = await ok(api.POST("/api/v1/resources", { body: value }));
        await client.invalidateQueries({ queryKey: ["resources"] });
        onMade(made.id);
      }}
    >
      {(problems) => <AddressFields value={value} onChange={setValue} problems={problems} />}
    </EditForm>
  );
}

/** Called by where it leads; it can be called otherwise on its own page. */
function MakeLogin({ server, onMade }: { server?: Schemas["Resource"]; onMade: (id: string) => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [username, setUsername] = useState("");
  const [credential, setCredential] = useState<CredentialIn>({ kind: "password" });
  return (
    <EditForm
      bare
      label={t("start.saveAndTest")}
      save={async () => {
        const made = await ok(api.POST("/api/v1/accounts", { body: { name: username && `${username}@${server!.name}`.slice(0, 256), username, resource_id: server!.id, ...((credential.value || credential.private_key) && { credential }) } }));
        setCredential({ kind: "password" });
        await client.invalidateQueries({ queryKey: ["accounts"] });
        onMade(made.id);
      }}
    >
      {(problems) => (
        <>
          <Field label={t("accounts.username")} hint={t("accounts.usernameHint")} error={problems.username}>
            <Input value={username} onChange={(e) => setUsername(e.target.value)} autoComplete="off" required autoFocus />
          </Field>
          <CredentialFields value={credential} onChange={setCredential} problems={problems} />
        </>
      )}
    </EditForm>
  );
}

/** Called like its server, unless the person calls it otherwise. */
function MakeSafe({ name, resource, account, onMade }: { name: string; resource: string; account: string; onMade: (id: string) => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [own, setOwn] = useState<string>();
  return (
    <EditForm
      bare
      label={t("safes.create")}
      save={async () => {
        const made = await ok(api.POST("/api/v1/safes", { body: { ...freshSafe, name: own ?? name, bindings: [{ resource_id: resource, account_id: account }] } }));
        await client.invalidateQueries({ queryKey: ["safes"] });
        onMade(made.id);
      }}
    >
      {(problems) => (
        <Field label={t("safes.name")} hint={t("start.safeHint")} error={problems.name}>
          <Input value={own ?? name} onChange={(e) => setOwn(e.target.value)} autoFocus />
        </Field>
      )}
    </EditForm>
  );
}

function Ready({ id }: { id: string }) {
  const { t } = useTranslation();
  const { data, error, refetch } = useSafe(id);
  if (error) return <Problem error={error} retry={() => void refetch()} />;
  if (!data) return <Loading />;
  return (
    <div className="flex flex-wrap gap-2">
      <LaunchButton safe={data} />
      <ButtonLink to={`/safes/${id}`}>{t("start.addPeople")}</ButtonLink>
    </div>
  );
}
