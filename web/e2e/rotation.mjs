// A manager says how a credential is rotated, has it rotated at a real target,
// uploads one that was changed elsewhere, helps one that is stuck, and reads
// which credentials want a look: by keyboard, with an account that has a hostile
// name.
import { connect } from "node:net";
import { accessible, api, check, open, run, settled, shoot, signIn, until, world } from "./lib.mjs";

const hostile = `<img src=x onerror="alert('name')">`;

/** Says something to the target as somebody; whether it let them in and did it. */
function says(user, password, ...commands) {
  return new Promise((resolve, reject) => {
    const all = [`AUTH ${user} ${password}`, ...commands, "QUIT"];
    const socket = connect(world.redis.port, world.redis.host, () => socket.write(all.map((c) => `${c}\r\n`).join("")));
    let text = "";
    socket.on("data", (d) => (text += d));
    socket.on("end", () => resolve(text.split("\r\n").filter(Boolean).slice(0, -1).every((line) => line.startsWith("+"))));
    socket.on("error", reject);
    socket.setTimeout(10_000, () => socket.destroy(new Error("the target says nothing")));
  });
}

/** Changes the password at the target behind the server's back. */
async function changed(password) {
  if (!(await says("default", world.redis.default, `ACL SETUSER ${world.redis.user} resetpass >${password}`, "ACL SAVE"))) throw new Error("the target did not take a password");
}

await run(async () => {
  const call = await api();
  const [{ id: safe, bindings }] = await call("GET", "/safes?q=Demo");
  const resource = await call("POST", "/resources", { name: "Cache", type: "redis", host: world.redis.host, port: world.redis.port, tls: { mode: "disable" } });
  const account = (name, username, value) => call("POST", "/accounts", { name, username, resource_id: resource.id, credential: { kind: "password", value } });
  const other = await account(hostile, world.redis.user, world.redis.password);
  const helper = await account("The helper", "default", world.redis.default);
  await call("PATCH", `/safes/${safe}`, { checkout: { enabled: true, ttl_seconds: 600 }, bindings: [...bindings, ...[other, helper].map((a) => ({ resource_id: resource.id, account_id: a.id }))] });
  const last = async () => (await call("GET", `/rotations?account_id=${other.id}`))[0];
  /** The version in use: its secret logs in, and none of the others does. */
  const inUse = async (version, ...others) => {
    const { credential } = await call("GET", `/accounts/${other.id}`);
    check(credential.version === version, `version ${credential.version} is in use, not ${version}`);
    const out = await call("POST", "/checkouts", { safe_id: safe, account_id: other.id });
    await call("POST", `/checkouts/${out.id}/check-in`);
    check(await says(world.redis.user, out.value, "PING"), `version ${version} does not log in`);
    for (const old of others) check(!(await says(world.redis.user, old, "PING")), `an earlier secret than version ${version} logs in`);
    return out.value;
  };

  const page = await open();
  await signIn(page);
  await settled(page, "/accounts");
  await page.getByRole("navigation", { name: "Views of accounts" }).getByRole("link", { name: "Credential health" }).press("Enter");
  await page.getByRole("heading", { name: "Credential health", level: 1 }).waitFor();
  const row = page.getByRole("row").filter({ hasText: "onerror" });
  await row.getByText("Never rotated").waitFor();
  check((await page.locator("main img").count()) === 0, "a name became an element");
  await accessible(page, "credential health");
  await shoot(page, "rotation health");
  await page.getByLabel("What wants a look").selectOption("stuck");
  await page.getByText("Clear").first().waitFor();
  await page.getByLabel("What wants a look").selectOption("never_rotated");
  await row.getByRole("link").press("Enter");

  // How: eight lower case letters would be counted through, and the form says so.
  await page.getByRole("link", { name: "Set up rotation" }).press("Enter");
  await page.getByRole("heading", { name: /^Rotation of/, level: 1 }).waitFor();
  await page.getByLabel("How they are made").selectOption("characters");
  await page.getByLabel("Length in characters").fill("8");
  for (const c of ["Upper case", "Digits", "Symbols"]) await page.getByLabel(c, { exact: true }).press("Space");
  check(await page.getByLabel("Lower case", { exact: true }).isDisabled(), "the last class of characters can be taken away");
  await page.getByLabel("Try the login every … hours").fill("24");
  await page.getByRole("button", { name: "Add a copy" }).press("Enter");
  await accessible(page, "rotation settings");
  await shoot(page, "rotation settings");
  await page.getByRole("button", { name: "Remove copy 1" }).press("Enter");
  await page.getByRole("button", { name: "Save" }).press("Enter");
  await page.getByText(/fewer than 40 bits/).waitFor();
  await page.getByLabel("Length in characters").fill("20");
  await page.getByRole("button", { name: "Save" }).press("Enter");
  await page.getByRole("heading", { name: hostile, level: 1 }).waitFor();
  const said = await call("GET", `/accounts/${other.id}/rotation`);
  check(said.check_hours === 24 && said.generation.length === 20 && Object.keys(said.generation.classes).join() === "lower", `the settings are ${JSON.stringify(said)}`);

  // A secret that was changed elsewhere: what is wrong does not stay in the page,
  // and changes nothing; what is right is in use from then on.
  const dialog = page.getByRole("dialog");
  const now = page.locator("section", { has: page.getByRole("heading", { name: "Rotation", exact: true }) });
  const upload = async (value) => {
    await page.getByRole("button", { name: "Verify a secret changed elsewhere" }).press("Enter");
    const secret = dialog.getByLabel("Password", { exact: true });
    check((await secret.getAttribute("autocomplete")) === "new-password", "the secret may be filled in by the browser");
    await secret.fill(value);
    await dialog.getByRole("button", { name: "Verify" }).press("Enter");
    await dialog.waitFor({ state: "hidden" });
    check(!(await page.content()).includes(value), "the secret stays in the page");
  };
  await upload("not-the-one-there");
  await now.getByText("The last rotation failed. The earlier secret stays in use.").waitFor();
  await now.getByText("The target refuses the secret that was uploaded.").first().waitFor();
  check((await last()).state === "failed", `a wrong secret: ${(await last()).state}`);
  await inUse(1, "not-the-one-there");
  await accessible(page, "a rotation that failed");
  await changed("changed-elsewhere-1");
  await upload("changed-elsewhere-1");
  await now.getByText("The secret in use is the one that logs in.").waitFor();
  check((await last()).state === "done", `the right secret: ${(await last()).state}`);
  const { version } = await last();
  check((await inUse(version, world.redis.password)) === "changed-elsewhere-1", "another secret is in use than was uploaded");

  // A new one, of which nobody knows: done, and in use.
  const rotate = async () => {
    await page.getByRole("button", { name: "Rotate now" }).press("Enter");
    await dialog.getByRole("button", { name: "Rotate now" }).press("Enter");
    await page.getByText("The rotation has begun.").first().waitFor();
  };
  await rotate();
  await until("the rotation is done", async () => (await last()).trigger === "manual" && (await last()).state === "done");
  await now.getByText(`Version ${version} → ${version + 1}`).waitFor();
  await now.getByText("The secret in use is the one that logs in.").waitFor();
  const made = await inUse(version + 1, "changed-elsewhere-1");
  check(/^[a-z]{20}$/.test(made), "the new secret is not as the settings say");

  // Changed behind the server's back: stuck, until somebody says who may help.
  await changed("behind-its-back-1");
  await rotate();
  await now.getByText("This rotation needs somebody").waitFor();
  await now.getByText("The target refuses both the earlier and the new secret").first().waitFor();
  await accessible(page, "a rotation that is stuck");
  await shoot(page, "a rotation that is stuck");
  check((await page.getByRole("button", { name: "Rotate now" }).count()) === 0, "what is stuck can be begun anew");
  const retry = async () => {
    await now.getByRole("button", { name: /^Retry / }).press("Enter");
    await dialog.getByRole("button", { name: "Retry" }).press("Enter");
    await dialog.waitFor({ state: "hidden" });
  };
  await retry();
  await until("it is stuck again", async () => (await last()).state === "stuck");
  await settled(page, "/accounts/rotations?open=true");
  await page.getByRole("row").filter({ hasText: "onerror" }).getByText("Needs attention").waitFor();
  await page.getByRole("row").filter({ hasText: "onerror" }).getByRole("link").press("Enter");
  await page.getByRole("link", { name: "Set up rotation" }).press("Enter");
  await page.getByLabel("Account that helps").selectOption(helper.id);
  await page.getByRole("button", { name: "Save" }).press("Enter");
  await retry();
  await until("the helper has repaired it", async () => (await last()).state === "done");
  check((await last()).repaired, "nobody had to step in");
  await now.getByText("the helper had to step in").waitFor();
  await now.getByText("The secret in use is the one that logs in.").waitFor();
  await inUse((await last()).version, made, "behind-its-back-1");

  await settled(page, "/accounts/rotations");
  check((await page.locator("main img").count()) === 0, "a name became an element");
  await accessible(page, "rotations");
  await shoot(page, "rotations");
  for (const [width, name] of [[1280, "desktop"], [390, "phone"]]) {
    await page.setViewportSize({ width, height: 800 });
    for (const path of ["/accounts/rotations", "/accounts/health", `/accounts/${other.id}`, `/accounts/${other.id}/rotation`]) {
      await settled(page, path);
      const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      check(beyond <= 1, `${path} on a ${name} is ${beyond} pixels too wide`);
    }
  }

  // The Safe says when.
  await page.setViewportSize({ width: 1280, height: 800 });
  await settled(page, `/safes/${safe}/edit`);
  await page.getByLabel("Every … days").fill("30");
  await page.getByLabel("After a session").press("Space");
  await page.getByRole("button", { name: "Save" }).press("Enter");
  await page.getByText("Interval: 30 days · After a session").waitFor();
  const rules = (await call("GET", `/safes/${safe}`)).rotation;
  check(rules.interval_days === 30 && rules.after_session && !rules.after_check_in, `the Safe says ${JSON.stringify(rules)} in ${world.base}`);
});
