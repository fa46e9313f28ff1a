// An administrator brings the SSH authorities to targets: copies their lines and
// the commands, makes another one that signs later, and takes it back. A target
// is let in by a certificate, which stands in the list of those issued.
import { accessible, api, check, open, run, settled, shoot, signIn, until, world } from "./lib.mjs";

const hostile = `<img src=x onerror="alert('name')">`;

await run(async () => {
  const call = await api();
  const page = await open({ permissions: ["clipboard-read", "clipboard-write"] });
  await signIn(page);
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "SSH authorities" }).press("Enter");
  await page.getByRole("heading", { name: "SSH authorities", level: 1 }).waitFor();
  await page.getByText("Signs now").waitFor();
  const ca = await call("GET", "/ssh-ca");
  const clipboard = () => page.evaluate(() => navigator.clipboard.readText());
  const copies = async (what, want) => {
    await until(`the clipboard has ${what}`, async () => (await clipboard()) === want, 5000);
  };
  const steps = page.getByRole("listitem");
  await steps.filter({ hasText: "Trust the authorities" }).getByRole("button", { name: "Copy" }).press("Enter");
  await copies("the lines for TrustedUserCAKeys", ca.trusted_user_ca_keys);
  const list = steps.filter({ hasText: "Fetch what is revoked" });
  await list.getByRole("button", { name: "Copy the address" }).press("Enter");
  await copies("the address of the list", world.base + ca.krl_path);
  // Whoever has the address gets the list, without a login.
  const krl = Buffer.from(await (await fetch(await clipboard())).arrayBuffer());
  check(krl.subarray(0, 6).toString() === "SSHKRL", `the list begins with ${krl.subarray(0, 8).toString("hex")}`);
  await list.getByRole("button", { name: "Copy", exact: true }).press("Enter");
  await until("the command is copied", async () => (await clipboard()).startsWith(`curl -fsS '${world.base}${ca.krl_path}' -o `));
  await steps.filter({ hasText: "Tell sshd" }).getByRole("button", { name: "Copy" }).press("Enter");
  await copies("the lines for sshd_config", [...ca.sshd_config, "AuthorizedPrincipalsFile /etc/ssh/principals/%u"].join("\n"));
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save as a file" }).press("Enter")]);
  check(file.suggestedFilename() === "vaultpam_ca.pub", `the file is called ${file.suggestedFilename()}`);

  // Another one, of which targets may learn in peace, and its end.
  await page.getByRole("button", { name: "Make another authority" }).press("Enter");
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("It begins to sign").selectOption("0");
  await dialog.getByText("Targets that do not know it yet let nobody in by a certificate.").waitFor();
  await dialog.getByLabel("It begins to sign").selectOption("604800");
  await accessible(page, "another authority");
  await dialog.getByRole("button", { name: "Make another authority" }).press("Enter");
  await page.getByText(/^Signs from /).waitFor();
  const two = await call("GET", "/ssh-ca");
  check(two.keys.length === 2 && two.keys[0].active && Math.abs(Date.parse(two.keys[1].active_from) - Date.now() - 7 * 86_400_000) < 60_000, `the authorities are ${JSON.stringify(two.keys)}`);
  await until("both lines are there to copy", async () => (await page.getByLabel("Lines for TrustedUserCAKeys").innerText()).trim() === two.trusted_user_ca_keys.trim());
  check((await page.getByRole("button", { name: "Remove vaultpam-ca-1" }).count()) === 0, "the one that signs can be removed");
  await page.getByRole("button", { name: "Remove vaultpam-ca-2" }).press("Enter");
  await dialog.getByText("It has signed nothing yet.", { exact: false }).waitFor();
  await dialog.getByLabel("Type the name to confirm").fill("vaultpam-ca-2");
  await dialog.getByRole("button", { name: "Remove" }).press("Enter");
  await page.getByText("vaultpam-ca-2 was removed.", { exact: false }).waitFor();
  await until("it is gone", async () => (await page.getByText(/^Signs from /).count()) === 0);

  // A certificate for a login, by an account that has a hostile name.
  const [resource] = await call("GET", "/resources");
  const account = await call("POST", "/accounts", { name: hostile, username: "nobody", resource_id: resource.id, credential: { kind: "ephemeral", ephemeral: { principals: [hostile] } } });
  await call("POST", `/accounts/${account.id}/check`); // the target does not trust it; the certificate is made all the same
  await settled(page, "/organization/ssh-ca");
  const issued = page.getByRole("listitem").filter({ hasText: "Serial number" });
  await issued.getByRole("link", { name: `For ${hostile}` }).waitFor();
  await issued.getByText("Valid", { exact: true }).waitFor();
  check((await page.locator("main img").count()) === 0, "a name became an element");
  await accessible(page, "SSH authorities");
  await shoot(page, "ssh authorities");
  await issued.getByRole("link", { name: `For ${hostile}` }).press("Enter");
  await page.getByRole("heading", { level: 1 }).waitFor();

  // The first, when another signs.
  await call("POST", "/ssh-ca/rotate", {});
  await page.setViewportSize({ width: 390, height: 844 });
  await settled(page, "/organization/ssh-ca");
  await page.getByText("Still trusted").waitFor();
  const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  check(beyond <= 1, `the page on a phone is ${beyond} pixels too wide`);
  await shoot(page, "ssh authorities on a phone");
  await page.getByRole("button", { name: "Remove vaultpam-ca-1" }).press("Enter");
  await dialog.getByText("valid for minutes more", { exact: false }).waitFor();
});
