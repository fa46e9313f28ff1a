// The one way to the API: typed by its OpenAPI document, authenticated by the
// login cookie, which no script can read.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];

/** A refusal, as the API's envelope words it. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly requestId = "",
    readonly details: { field: string; problem: string }[] = [],
    readonly body: Partial<Schemas["Error"]> = {},
  ) {
    super(message);
  }

  /** What is wrong with each field: its name in the API → the problem. */
  get fields(): Record<string, string> {
    return Object.fromEntries(this.details.map((d) => [d.field, d.problem]));
  }
}

/** What a request carries beside the cookie. Kept in memory only. */
export const context = {
  csrf: "",
  org: "",
  /** Who has vouched for the person; "" if they signed in by themselves. */
  provider: "",
  /** Called when the API says that nobody is signed in any more. */
  signedOut: () => {},
  /** Called when the API says that the vault is sealed, and so all else shut. */
  sealed: () => {},
  /** Asks the person to authenticate again; false: they would not. */
  stepUp: async (): Promise<boolean> => false,
};

export const api = createClient<paths>({ baseUrl: location.origin, credentials: "same-origin" });

// A body can be read once; a copy waits for the repetition after a step-up.
const copies = new Map<string, Request>();

function dress(request: Request): Request {
  if (context.org) request.headers.set("X-Active-Org-Id", context.org);
  if (request.method !== "GET" && context.csrf) request.headers.set("X-CSRF-Token", context.csrf);
  return request;
}

api.use({
  onRequest({ request, id }) {
    if (request.method !== "GET") copies.set(id, request.clone());
    return dress(request);
  },
  async onResponse({ response, id }) {
    const copy = copies.get(id);
    copies.delete(id);
    if (response.status !== 403 || !copy) return undefined;
    const e = (await response.clone().json().catch(() => ({}))) as { error?: string };
    if (e.error !== "STEP_UP_REQUIRED" || !(await context.stepUp())) return undefined;
    return fetch(dress(copy));
  },
  onError({ id }) {
    copies.delete(id);
  },
});

type Answer<T> = { data?: T; error?: unknown; response: Response };

/** Returns what the API answered, or throws an ApiError. */
export async function ok<T>(call: Promise<Answer<T>>): Promise<T> {
  return (await answer(call)).data as T;
}

/** The same with the response, whose headers say ETag and Link. */
export async function answer<T>(call: Promise<Answer<T>>): Promise<{ data: T; response: Response }> {
  let a: Answer<T>;
  try {
    a = await call;
  } catch {
    throw new ApiError(0, "UNREACHABLE", "");
  }
  if (a.response.ok) return { data: a.data as T, response: a.response };
  const e = (typeof a.error === "object" && a.error ? a.error : {}) as Partial<Schemas["Error"]>;
  if (e.error === "VAULT_SEALED") context.sealed();
  if (a.response.status === 401 && e.error === "TOKEN_INVALID") context.signedOut();
  throw new ApiError(a.response.status, e.error ?? "INTERNAL", e.message ?? "", e.request_id, e.details ?? [], e);
}

/** The cursor of the next page, from the Link header (RFC 8288), or "". */
export function nextCursor(response: Response): string {
  const m = /<([^>]+)>;\s*rel="next"/.exec(response.headers.get("Link") ?? "");
  return m?.[1] ? (new URL(m[1], location.origin).searchParams.get("cursor") ?? "") : "";
}
