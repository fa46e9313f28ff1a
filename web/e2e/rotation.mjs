// A manager says how a credential is rotated, has it rotated, uploads one that
// was changed elsewhere, and reads which credentials want a look: by keyboard,
// with an account and problems that have hostile names.
import { accessible, api, check, open, run, settled, shoot, signIn, until, world } from "./lib.mjs";

const hostile = `<img src=x onerror="alert('name')">`;

await run(async () => {
  const call = await api();
  const [{ id: safe, bindings }] = await call("GET", "/safes?q=Demo");
  const [resource] = await call("GET", "/resources");
  const other = await call("POST", "/accounts", { name: hostile, username: "nobody", resource_id: resource.id, credential: { kind: "password", value: "not-the-one-there" } });
  await call("PATCH", `/safes/${safe}`, { bindings: [...bindings, { resource_id: resource.id, account_id: other.id }] });

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

  // A secret that was changed elsewhere: what is wrong does not stay in the page.
  await page.getByRole("button", { name: "Verify a secret changed elsewhere" }).press("Enter");
  const dialog = page.getByRole("dialog");
  const secret = dialog.getByLabel("Password", { exact: true });
  check((await secret.getAttribute("autocomplete")) === "new-password", "the secret may be filled in by the browser");
  await secret.fill("changed-elsewhere");
  await accessible(page, "upload");
  await dialog.getByRole("button", { name: "Verify" }).press("Enter");
  await until("the secret has left the page", async () => !(await dialog.isVisible()) || (await secret.inputValue()) === "");
  check(!(await page.content()).includes("changed-elsewhere"), "the secret stays in the page");

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
