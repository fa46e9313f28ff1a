import type { Schemas } from "../api/client";

// What browsers take and give as bytes travels as base64url (WebAuthn Level 3,
// section 5.1.8). Not all of them convert it themselves yet.

type Options = Schemas["PublicKey"];
interface Descriptor {
  id: string;
  type: "public-key";
  transports?: AuthenticatorTransport[];
}

const bytes = (text: string) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const text = (buffer: ArrayBuffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
const listed = (all?: Descriptor[]) => (all ?? []).map((d) => ({ ...d, id: bytes(d.id) }));

/** Whether this browser can have passkeys for the address it is at. */
export const canPasskey = () => window.isSecureContext && "PublicKeyCredential" in window && !/^[\d.]+$|:/.test(window.location.hostname);

/** What went wrong at the browser; "" where the person has only changed their mind. */
export class PasskeyError extends Error {}

async function asked<T>(ask: () => Promise<T | null>): Promise<T> {
  try {
    const answer = await ask();
    if (answer) return answer;
  } catch (e) {
    if (e instanceof DOMException && e.name === "InvalidStateError") throw new PasskeyError("known");
    throw new PasskeyError("stopped");
  }
  throw new PasskeyError("stopped");
}

/** Has the browser make a passkey, and returns what the API takes. */
export async function makePasskey({ publicKey }: Options) {
  const o = publicKey as PublicKeyCredentialCreationOptions & { challenge: string; user: { id: string }; excludeCredentials?: Descriptor[] };
  const made = (await asked(() =>
    navigator.credentials.create({ publicKey: { ...o, challenge: bytes(o.challenge), user: { ...o.user, id: bytes(o.user.id) }, excludeCredentials: listed(o.excludeCredentials) } }),
  )) as PublicKeyCredential;
  const r = made.response as AuthenticatorAttestationResponse;
  return {
    id: made.id,
    rawId: text(made.rawId),
    type: made.type,
    authenticatorAttachment: made.authenticatorAttachment ?? undefined,
    clientExtensionResults: {},
    response: { clientDataJSON: text(r.clientDataJSON), attestationObject: text(r.attestationObject), transports: r.getTransports() },
  };
}

/** Has the browser answer with a passkey, and returns the code that the API takes. */
export async function showPasskey({ publicKey }: Options) {
  const o = publicKey as PublicKeyCredentialRequestOptions & { challenge: string; allowCredentials?: Descriptor[] };
  const shown = (await asked(() => navigator.credentials.get({ publicKey: { ...o, challenge: bytes(o.challenge), allowCredentials: listed(o.allowCredentials) } }))) as PublicKeyCredential;
  const r = shown.response as AuthenticatorAssertionResponse;
  return JSON.stringify({
    id: shown.id,
    rawId: text(shown.rawId),
    type: shown.type,
    clientExtensionResults: {},
    response: { clientDataJSON: text(r.clientDataJSON), authenticatorData: text(r.authenticatorData), signature: text(r.signature), userHandle: r.userHandle ? text(r.userHandle) : undefined },
  });
}
