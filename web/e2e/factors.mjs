// Somebody protects their account with an authenticator app, signs in with it
// and with a recovery code, confirms a risky act by it; and an organization
// that demands one has everybody enrol at the door.
import { createHmac } from "node:crypto";
import { accessible, api, check, open, run, settled, until, world } from "./lib.mjs";

/** The code of an authenticator app (RFC 6238), so many periods from now. */
function codeOf(secret, off) {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...secret].map((c) => letters.indexOf(c).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + off));
  const sum = createHmac("sha1", key).update(step).digest();
  return String((sum.readUInt32BE(sum.at(-1) & 15) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

async function enter(page, email) {
  await page.goto("/safes");
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(world.password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
}

/** Enrols at the form that is shown, and returns the secret and the codes. */
async function enrol(page, name) {
  await page.getByRole("img", { name: "QR code for the authenticator app" }).waitFor();
  const secret = await page.getByLabel("Key").inputValue();
  await accessible(page, name);
  await page.getByLabel("Verification code").fill("000000");
  await page.getByRole("button", { name: "Enrol" }).click();
  await page.getByText(/is not the present code/).waitFor();
  await page.getByLabel("Verification code").fill(codeOf(secret, -1));
  await page.getByRole("button", { name: "Enrol" }).click();
  await page.getByRole("list", { name: "Recovery codes" }).waitFor();
  const codes = await page.getByRole("list", { name: "Recovery codes" }).getByRole("listitem").allInnerTexts();
  check(codes.length === 10, `${codes.length} recovery codes`);
  await accessible(page, "recovery codes");
  await page.getByRole("button", { name: "I have kept them" }).click();
  return { secret, codes };
}

await run(async () => {
  const call = await api();
  const email = "mara@example.com";
  await call("POST", "/org/members", { email, role: "operator", password: world.password, must_change_password: false });
  const page = await open();
  await enter(page, email);
  await page.getByRole("navigation", { name: "Pages" }).waitFor();
  await settled(page, "/profile");
  await page.getByRole("button", { name: "Add an authenticator app" }).click();
  const { secret, codes } = await enrol(page, "enrolment in the profile");
  await page.getByText("10 recovery codes are left.").waitFor();
  await accessible(page, "profile with a factor");

  const again = await open();
  await enter(again, email);
  await again.getByLabel("Verification code").fill("000000");
  await again.getByRole("button", { name: "Sign in", exact: true }).click();
  await again.getByText(/That code is not right/).waitFor();
  await accessible(again, "sign-in with a code");
  await again.getByLabel("Verification code").fill(codeOf(secret, 0));
  await again.getByRole("button", { name: "Sign in", exact: true }).click();
  await again.getByRole("navigation", { name: "Pages" }).waitFor();

  const paper = await open();
  await enter(paper, email);
  await paper.getByLabel("Verification code").fill(codes[3].toUpperCase());
  await paper.getByRole("button", { name: "Sign in", exact: true }).click();
  await paper.getByRole("navigation", { name: "Pages" }).waitFor();
  await settled(paper, "/profile");
  await paper.getByText("9 recovery codes are left.").waitFor();

  // From now on the organization demands one, and who has none enrols.
  await call("PATCH", "/org", { mfa_required: true });
  const owner = await open();
  await enter(owner, world.email);
  await owner.getByRole("heading", { name: "Set up a second factor" }).waitFor();
  const theirs = await enrol(owner, "enrolment at the door");
  await owner.getByLabel("Verification code").fill(codeOf(theirs.secret, 0));
  await owner.getByRole("button", { name: "Sign in", exact: true }).click();
  await owner.getByRole("navigation", { name: "Pages" }).waitFor();
  await settled(owner, "/members");
  await until("the members are there", async () => (await owner.getByText(email).count()) > 0);

  // An administrator takes the factors of somebody away who has lost theirs.
  await owner.getByRole("button", { name: `Actions for ${email}` }).click();
  await owner.getByRole("menuitem", { name: "Reset second factors" }).click();
  await owner.getByRole("dialog").getByRole("button", { name: "Reset second factors" }).click();
  await owner.getByRole("dialog").waitFor({ state: "hidden" });
  await paper.goto("/safes");
  await paper.getByLabel("E-mail").waitFor();
});
