// A program without a browser is signed in by its person, who followed the link
// that it showed; another is refused, and a code that nobody gave out is none.
import { api, check, open, run, settled, until, world } from "./lib.mjs";

const ask = async (method, body) => (await fetch(`${world.base}/api/v1/auth/device${method}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) })).json();

await run(async () => {
  const first = await ask("", { client_name: "vaultpam on a laptop" });
  const page = await open();
  await page.goto(new URL(first.verification_uri_complete, world.base).pathname + new URL(first.verification_uri_complete, world.base).search);
  await page.getByLabel("E-mail").fill(world.email);
  await page.getByLabel("Password").fill(world.password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByText("vaultpam on a laptop", { exact: true }).waitFor();
  await page.getByText(first.user_code).waitFor();
  check((await ask("/token", { device_code: first.device_code })).status === "pending", "it is signed in before anybody approved it");
  await page.getByRole("button", { name: "Approve" }).click();
  await page.getByText(/The program is signed in/).waitFor();
  let login;
  await until("the program has its login", async () => (login = await ask("/token", { device_code: first.device_code })).status === "approved");
  const me = await (await fetch(`${world.base}/api/v1/me`, { headers: { Authorization: `Bearer ${login.access_token}` } })).json();
  check(me.email === world.email, `it is signed in as ${me.email}`);

  // Typed by hand, and refused.
  const second = await ask("", { client_name: "<b>somebody else</b>" });
  await page.goto("/device");
  await page.getByLabel("Code").fill(second.user_code);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByText("<b>somebody else</b>", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Deny" }).click();
  await page.getByText("The program was not signed in.").waitFor();
  await until("the program is told", async () => (await ask("/token", { device_code: second.device_code })).status === "denied");

  await page.goto("/device?code=BCDF-GHJK");
  await page.getByText(/No program waits for this code/).waitFor();

  // What it signed in is among the person's logins.
  const call = await api();
  check((await call("GET", "/me/logins")).length > 2, "the login of the program is not to be seen");
  await settled(page, "/profile");
});
