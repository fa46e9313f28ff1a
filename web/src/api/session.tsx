// Who is signed in, and in which organization they work.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { createContext, useContext, useEffect, useMemo, useState, type ReactNode } from "react";
import { api, ApiError, context, ok, type Schemas } from "./client";
import { showPasskey } from "../shell/passkey";

export interface Who {
  me: Schemas["Me"];
  memberships: Schemas["Membership"][];
  org: string;
  role: string;
}

interface SessionState {
  /** undefined: not known yet; null: nobody. */
  who: Who | null | undefined;
  error: unknown;
  /** The login has ended by itself, or elsewhere, while this page was open. */
  ended: boolean;
  signIn(email: string, password: string): Promise<void>;
  /** Ends a sign-in that was refused with MFA_REQUIRED. */
  showFactor(mfaToken: string, factor: "totp" | "webauthn" | "recovery_code", code: string): Promise<void>;
  signInByPasskey(): Promise<void>;
  signOut(): Promise<void>;
  enter(org: string): void;
  retry(): void;
}

const SessionContext = createContext<SessionState | null>(null);

export function useSession(): SessionState {
  const s = useContext(SessionContext);
  if (!s) throw new Error("useSession outside of SessionProvider");
  return s;
}

/** The person who is signed in. Pages are shown to nobody else. */
export function useWho(): Who {
  const { who } = useSession();
  if (!who) throw new Error("useWho while nobody is signed in");
  return who;
}

/** Whether the person has one of the roles in the organization. */
export function useRole(...roles: string[]): boolean {
  return roles.includes(useWho().role);
}

// Whether it is worth asking who is signed in: the cookie itself is out of
// reach, and a refusal would stand in the browser's console as an error.
const hint = { set: () => localStorage.setItem("signed-in", "1"), clear: () => localStorage.removeItem("signed-in"), get: () => localStorage.getItem("signed-in") === "1" };

/** Notes that somebody has signed in by another way than here. */
export const remember = hint.set;

async function load(): Promise<Who | null> {
  if (!hint.get()) return null;
  try {
    const login = await ok(api.GET("/api/v1/auth/cookie"));
    context.csrf = login.csrf_token;
    context.provider = login.provider_id ?? "";
  } catch (e) {
    if (!(e instanceof ApiError) || e.status !== 401) throw e;
    hint.clear();
    return null;
  }
  const [me, list] = await Promise.all([ok(api.GET("/api/v1/me")), ok(api.GET("/api/v1/org/memberships"))]);
  const wanted = localStorage.getItem("org");
  const active = list.memberships.filter((m) => m.status === "active");
  const chosen = active.find((m) => m.org_id === wanted) ?? active.find((m) => m.org_id === list.active_org_id) ?? active[0];
  context.org = chosen?.org_id ?? "";
  return { me, memberships: list.memberships, org: context.org, role: chosen?.role ?? "" };
}

export function SessionProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const [gone, setGone] = useState<"left" | "ended">();
  const { data, error, refetch } = useQuery({ queryKey: ["who"], queryFn: load, staleTime: Infinity, retry: false, enabled: !gone });

  useEffect(() => {
    context.signedOut = () => {
      context.csrf = "";
      hint.clear();
      setGone("ended");
      client.removeQueries({ predicate: (q) => q.queryKey[0] !== "who" });
    };
    context.sealed = () => {
      // Asking who is signed in finds the same, which the gate then shows.
      const state = client.getQueryState(["who"]);
      if (state?.fetchStatus === "idle" && state.status !== "error") void refetch();
    };
    return () => {
      context.signedOut = () => {};
      context.sealed = () => {};
    };
  }, [client, refetch]);

  const state = useMemo<SessionState>(() => {
    async function arrived() {
      hint.set();
      client.setQueryData(["who"], await load());
      setGone(undefined);
    }
    return {
      who: gone ? null : data,
      error: gone ? null : error,
      ended: gone === "ended",
      async signIn(email, password) {
        context.csrf = (await ok(api.POST("/api/v1/auth/cookie", { body: { email, password } }))).csrf_token;
        await arrived();
      },
      async showFactor(mfa_token, factor, code) {
        context.csrf = (await ok(api.POST("/api/v1/auth/cookie/mfa", { body: { mfa_token, factor, code } }))).csrf_token;
        await arrived();
      },
      async signInByPasskey() {
        const asked = await ok(api.POST("/api/v1/auth/cookie/passkey"));
        const code = await showPasskey(asked);
        context.csrf = (await ok(api.POST("/api/v1/auth/cookie/passkey/finish", { body: { mfa_token: asked.mfa_token, code } }))).csrf_token;
        await arrived();
      },
      async signOut() {
        try {
          await ok(api.DELETE("/api/v1/auth/cookie"));
        } finally {
          hint.clear();
          client.clear();
          setGone("left");
        }
      },
      enter(org) {
        localStorage.setItem("org", org);
        client.clear();
        void refetch();
      },
      retry: () => void refetch(),
    };
  }, [client, data, error, gone, refetch]);
  return <SessionContext value={state}>{children}</SessionContext>;
}
