import { useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { useTranslation } from "react-i18next";
import { api, ok, type Schemas } from "../api/client";
import { remember, useSession } from "../api/session";
import { Button, buttonClass } from "../ui/button";
import { Loading, Problem } from "../ui/feedback";
import { Field, Input } from "../ui/field";
import { Standing } from "./sealed";

const last = { get: () => localStorage.getItem("sso-organization") ?? "", set: (slug: string) => localStorage.setItem("sso-organization", slug) };

/** The organization that the address names, as in /login/corp; "" without one. */
const named = () => /^\/login\/([^/]+)$/.exec(location.pathname)?.[1] ?? "";

// Where somebody wanted to go before they were sent to a provider: a path of
// ours, whatever else stands in the browser's memory.
const goal = {
  set: () => sessionStorage.setItem("sso-goal", named() ? "/" : location.pathname + location.search),
  take: () => {
    const path = sessionStorage.getItem("sso-goal") ?? "/";
    sessionStorage.removeItem("sso-goal");
    return /^\/(?![/\\])/.test(path) ? path : "/";
  },
};

/** Sends the browser to a provider. */
export async function begin(start: Promise<Schemas["SSOStart"]>): Promise<void> {
  const { url } = await start;
  if (!/^https?:\/\//.test(url)) throw new Error("not an address");
  goal.set();
  location.assign(url);
}

/** The ways to sign in by others' word, below the form for a password. */
export function SingleSignOn({ email }: { email: string }) {
  const { t } = useTranslation();
  const [slug, setSlug] = useState(() => named() || last.get());
  const [typed, setTyped] = useState("");
  const [asking, setAsking] = useState(false);
  const [error, setError] = useState<unknown>();
  const offers = useQuery({
    queryKey: ["sso", "offers", slug],
    queryFn: () => ok(api.GET("/api/v1/auth/sso/{organization}", { params: { path: { organization: slug } } })),
    enabled: slug !== "",
    retry: false,
    staleTime: 60_000,
  });
  const go = async (provider_id: string) => {
    setError(undefined);
    try {
      last.set(slug);
      await begin(ok(api.POST("/api/v1/auth/sso/start", { body: { organization: slug, provider_id, email: email || undefined } })));
    } catch (err) {
      setError(err);
    }
  };
  const find = (e: FormEvent) => {
    e.preventDefault();
    setError(undefined);
    setSlug(typed.trim().toLowerCase());
    setAsking(false);
  };
  return (
    <section aria-label={t("shell.sso")} className="space-y-3">
      {offers.data?.providers.map((p) => (
        <Button key={p.id} className="w-full" onClick={() => void go(p.id)}>
          <span className="name">{t("shell.ssoWith", { name: p.name })}</span>
        </Button>
      ))}
      {slug && offers.data?.providers.length === 0 && <p className="text-sm text-muted">{t("shell.ssoNone", { organization: slug })}</p>}
      <Problem error={error ?? offers.error} />
      {asking ? (
        <form onSubmit={find} className="space-y-3">
          <Field label={t("shell.ssoOrganization")} hint={t("shell.ssoOrganizationHint")}>
            <Input value={typed} onChange={(e) => setTyped(e.target.value)} autoCapitalize="none" autoComplete="organization" required autoFocus />
          </Field>
          <Button type="submit" className="w-full">
            {t("shell.ssoFind")}
          </Button>
        </form>
      ) : (
        <Button className="w-full" onClick={() => setAsking(true)}>
          {t(slug ? "shell.ssoOther" : "shell.sso")}
        </Button>
      )}
    </section>
  );
}

/** What a provider of SAML has posted, which the server has put into the page. */
const posted = (name: string) => {
  const meta = document.querySelector<HTMLMetaElement>(`meta[name="${name}"]`);
  meta?.remove();
  return meta?.content;
};

/** Where a provider sends people back to: /login/callback/{provider}. */
export function Callback() {
  const { t } = useTranslation();
  // What came with the address is taken out of it at once: it opens something.
  const [came] = useState(() => {
    const q = new URLSearchParams(location.search);
    history.replaceState(history.state, "", location.pathname);
    const response = posted("saml-response");
    const provider_id = location.pathname.split("/").at(-1) ?? "";
    if (response !== undefined) return { provider_id, state: posted("saml-state") ?? "", saml_response: response };
    if (q.has("directory")) return { provider_id, state: q.get("state") ?? "", directory: true };
    return { provider_id, state: q.get("state") ?? "", code: q.get("code") ?? undefined, iss: q.get("iss") ?? undefined, error: q.get("error") ?? undefined };
  });
  const [typed, setTyped] = useState<{ username: string; password: string }>();
  const { error } = useQuery({
    queryKey: ["sso", "finish"],
    queryFn: async () => {
      const { directory: _, ...body } = came as typeof came & { directory?: boolean };
      const got = await ok(api.POST("/api/v1/auth/sso/finish", { body: { ...body, ...typed } }));
      remember();
      location.replace(got.linked ? "/profile" : goal.take());
      return got;
    },
    enabled: !("directory" in came) || typed !== undefined,
    retry: false,
    staleTime: Infinity,
    gcTime: Infinity,
  });
  if ("directory" in came && !typed) return <Directory go={(username, password) => setTyped({ username, password })} />;
  if (!error) return <Loading />;
  return (
    <Standing>
      <h1 className="text-2xl font-semibold tracking-tight">{t("shell.ssoFailed")}</h1>
      <Problem error={error} />
      <a href="/" className={buttonClass("primary")}>
        {t("shell.ssoAgain")}
      </a>
    </Standing>
  );
}

/** Asks for the user name and password of a directory. */
function Directory({ go }: { go: (username: string, password: string) => void }) {
  const { t } = useTranslation();
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  return (
    <Standing>
      <h1 className="text-2xl font-semibold tracking-tight">{t("shell.directoryTitle")}</h1>
      <form
        className="space-y-4 rounded-lg border border-line bg-surface p-5"
        onSubmit={(e) => {
          e.preventDefault();
          go(username.trim(), password);
        }}
      >
        <Field label={t("shell.directoryUser")} hint={t("shell.directoryHint")}>
          <Input autoComplete="username" autoCapitalize="none" spellCheck={false} value={username} onChange={(e) => setUsername(e.target.value)} required autoFocus />
        </Field>
        <Field label={t("shell.password")}>
          <Input type="password" autoComplete="current-password" value={password} onChange={(e) => setPassword(e.target.value)} required />
        </Field>
        <Button type="submit" kind="primary" className="w-full">
          {t("shell.signIn")}
        </Button>
      </form>
    </Standing>
  );
}

/** Whoever is signed in already has nothing to do at /login/…. */
export function AlreadyIn() {
  const { who } = useSession();
  if (who) location.replace("/");
  return <Loading />;
}

/** Has the provider ask again who somebody is, for whom it has vouched. */
export function AskAgain({ provider }: { provider: string }) {
  const { t } = useTranslation();
  const { who } = useSession();
  const [error, setError] = useState<unknown>();
  const slug = who?.memberships.find((m) => m.org_id === who.org)?.slug ?? "";
  return (
    <div className="space-y-3">
      <p className="text-sm text-muted">{t("shell.ssoStepUp")}</p>
      <Problem error={error} />
      <Button kind="primary" onClick={() => void begin(ok(api.POST("/api/v1/auth/sso/start", { body: { organization: slug, provider_id: provider, fresh: true } }))).catch(setError)}>
        {t("shell.ssoConfirm")}
      </Button>
    </div>
  );
}
