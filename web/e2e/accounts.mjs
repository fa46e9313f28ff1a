// An administrator keeps credentials: has one made, looks at its history, takes
// back an old version and purges the rest, and brings in accounts from a file,
// after having seen what that would do.
import { api, check, open, run, signIn, until } from "./lib.mjs";

await run(async () => {
  const call = await api();
  const resource = await call("POST", "/resources", { name: "Vault host", type: "ssh", host: "vault-host.test" });
  const account = await call("POST", "/accounts", { name: "Vault root", username: "root", resource_id: resource.id, credential: { kind: "password", value: "not-to-be-seen-1" } });
  const page = await open();
  await signIn(page, { path: `/accounts/${account.id}` });

  // A secret is made, and shown by its public half alone.
  await page.getByRole("button", { name: "Generate" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Kind").selectOption("key");
  await dialog.getByLabel("Algorithm").selectOption("ecdsa-p256");
  await dialog.getByRole("button", { name: "Generate" }).click();
  await page.getByText("Version 2", { exact: true }).waitFor();
  await page.getByText("ecdsa-sha2-nistp256", { exact: false }).first().waitFor();

  // What is wrong with a credential is said at its field.
  await page.getByRole("button", { name: "Set credential" }).click();
  await dialog.getByLabel("Kind").selectOption("token");
  await dialog.getByLabel("Token", { exact: true }).fill("not-to-be-seen-2");
  await dialog.getByRole("button", { name: "Store" }).click();
  await until("the field says what is wrong", async () => (await dialog.getByLabel("Kind").getAttribute("aria-invalid")) === "true");
  await dialog.getByLabel("Kind").selectOption("ephemeral");
  await dialog.getByLabel(/Lifetime in seconds/).fill("300");
  await dialog.getByRole("button", { name: "Store" }).click();
  await page.getByText("Version 3", { exact: true }).waitFor();

  // The first version is what the target has; what is older than the newest goes.
  await page.getByRole("button", { name: "Use again: version 1" }).click();
  await dialog.getByRole("button", { name: "Use again" }).click();
  await page.getByText("Version 1 is in use.").waitFor();
  await page.getByRole("button", { name: "Purge old versions" }).click();
  await dialog.getByLabel("How many of the newest stay").fill("1");
  await dialog.getByRole("button", { name: "Purge" }).click();
  await page.getByText("purged", { exact: true }).waitFor();
  const history = await call("GET", `/accounts/${account.id}/versions`);
  check(history.map((v) => v.state).join() === "stored,purged,stored" && history[2].promoted, `the history is ${JSON.stringify(history)}`);

  // A file: first what it would do, then it. Its secrets are nowhere to be seen.
  await page.goto("/accounts/import");
  const file = (text) => page.getByLabel("CSV file").setInputFiles({ name: "people.csv", mimeType: "text/csv", buffer: Buffer.from(text) });
  await file("CANARY,x\n1,2\n");
  await page.getByRole("button", { name: "Show what would happen" }).click();
  await until("the file is refused at its field", async () => (await page.getByLabel("CSV file").getAttribute("aria-invalid")) === "true");
  await file("name,username,password,type,host\nImported,root,CANARY,ssh,new-host.test\nVault root,root,CANARY,ssh,vault-host.test\nBroken,,CANARY,ssh,h\n");
  check(await page.getByRole("button", { name: "Import", exact: true }).isDisabled(), "it can be imported without having been shown");
  await page.getByLabel("Create the resources that are missing").check();
  await page.getByRole("button", { name: "Show what would happen" }).click();
  await page.getByText("1 to create, 0 to update, 1 skipped, 1 in error").waitFor();
  check((await call("GET", "/accounts?q=Imported")).length === 0, "the dry run has imported");
  await page.getByRole("button", { name: "Import", exact: true }).click();
  await page.getByText("Imported", { exact: true }).first().waitFor();
  check(!(await page.locator("body").innerText()).includes("CANARY"), "a secret is on the page");
  await page.getByRole("link", { name: "Imported" }).click();
  await page.getByRole("heading", { name: "Imported" }).waitFor();
});
