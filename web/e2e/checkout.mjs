// A secret is checked out where the Safe allows it: shown once, kept for
// longer, given back, and nowhere on the page afterwards. Who manages the Safe
// sees who has what and why, takes it back, and reads how each has ended.
import { accessible, api, check, open, run, settled, shoot, signIn, until, world } from "./lib.mjs";

const hostile = `INC-1042 <img src=x onerror="alert('reason')">`;

await run(async () => {
  const call = await api();
  const [demo] = await call("GET", "/safes?q=Demo");
  const page = await open();
  await signIn(page, { path: `/safes/${demo.id}` });
  await page.getByRole("button", { name: "Launch", exact: true }).waitFor();
  check((await page.getByRole("button", { name: /^Check out/ }).count()) === 0, "a Safe without checkout offers one");

  // The Safe allows it, for ten minutes and one person at a time; its approval stays as it is.
  await settled(page, `/safes/${demo.id}/edit`);
  await page.getByLabel("Let members check out the credential").press("Space");
  await page.getByLabel("Time of a checkout, in minutes").fill("10");
  await page.getByLabel("One person at a time").press("Space");
  await page.getByRole("button", { name: "Save" }).press("Enter");
  await page.getByText("10 minutes · One person at a time").waitFor();
  const { checkout: rules, approval } = await call("GET", `/safes/${demo.id}`);
  check(rules.enabled && rules.ttl_seconds === 600 && rules.exclusive && approval === "none", `the Safe says ${JSON.stringify(rules)} and ${approval}`);

  await page.getByRole("button", { name: /^Check out/ }).click();
  await page.getByRole("dialog").getByLabel("Reason").fill(hostile);
  await page.getByRole("button", { name: "Show it" }).click();
  const shown = page.getByLabel("Secret", { exact: true });
  await shown.waitFor();
  const secret = (await shown.textContent()).trim();
  check(secret.length > 8, `the secret is "${secret}"`);
  if (world.keep) await shoot(page, "a secret");
  const [out] = await call("GET", "/checkouts");
  check(out?.status === "checked_out" && !("value" in out), `the checkout is ${JSON.stringify(out)}`);
  await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
  await page.getByRole("heading", { name: "Checked out now" }).waitFor();
  check(!(await page.content()).includes(secret), "the secret is still on the page");

  // Longer, as often as the server allows; then not any more.
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Checkouts" }).press("Enter");
  const row = page.getByRole("row").filter({ hasText: "INC-1042" });
  await row.waitFor();
  check((await page.locator("main img").count()) === 0, "a reason became an element");
  await accessible(page, "checkouts");
  await shoot(page, "checkouts");
  const dialog = page.getByRole("dialog");
  for (let n = 1; n <= 3; n++) {
    await row.getByRole("button", { name: /^Extend / }).press("Enter");
    if (n === 1) {
      await dialog.getByText("You can extend 3 more times.").waitFor();
      await dialog.getByLabel("For how many minutes, from now").fill("11");
      await accessible(page, "extend a checkout");
      await dialog.getByRole("button", { name: "Extend" }).press("Enter");
      await dialog.getByText("This is longer than the Safe gives.").waitFor();
      await dialog.getByLabel("For how many minutes, from now").fill("1");
      await dialog.getByRole("button", { name: "Extend" }).press("Enter");
      await dialog.getByText("That would not be longer").waitFor();
      await dialog.getByLabel("For how many minutes, from now").fill("");
    }
    await dialog.getByRole("button", { name: "Extend" }).press("Enter");
    await until(`it was extended ${n} times`, async () => (await call("GET", `/checkouts/${out.id}`)).extensions === n);
    await dialog.waitFor({ state: "hidden" });
  }
  await until("it cannot be extended any more", async () => (await row.getByRole("button", { name: /^Extend / }).count()) === 0);
  await row.getByRole("link").press("Enter");
  await page.getByText("3 of 3 times").waitFor();
  await page.getByText(hostile).waitFor();
  await accessible(page, "a checkout");
  await page.getByRole("button", { name: /^Give back / }).press("Enter");
  await dialog.getByRole("button", { name: "Give back", exact: true }).press("Enter");
  await page.getByText("The credential was given back.").waitFor();
  await until("the checkout is over", async () => (await call("GET", `/checkouts/${out.id}`)).status === "available");
  await page.getByText("How it ended").waitFor();

  // Somebody else has it now; to their own eyes it is the only one there is.
  const olga = await call("POST", "/org/members", { email: "olga@example.com", role: "operator", password: world.password, must_change_password: false });
  await call("POST", `/safes/${demo.id}/members`, { user_id: olga.user_id, role: "operator" });
  const hers = await open();
  await signIn(hers, { path: `/safes/${demo.id}`, email: "olga@example.com" });
  await hers.setViewportSize({ width: 390, height: 800 });
  await hers.getByRole("button", { name: /^Check out/ }).click();
  await hers.getByRole("dialog").getByLabel("Reason").fill("To look");
  await hers.getByRole("button", { name: "Show it" }).click();
  await hers.getByLabel("Secret", { exact: true }).waitFor();
  await hers.getByRole("dialog").getByRole("button", { name: "Close" }).click();
  await settled(hers, "/checkouts");
  check((await hers.getByRole("row").count()) === 2, "she sees more than her own");
  await accessible(hers, "her checkouts on a phone");

  // One person at a time: the other is told why, and takes it back.
  await settled(page, `/safes/${demo.id}`);
  await page.getByRole("button", { name: /^Check out/ }).click();
  await page.getByRole("button", { name: "Show it" }).click();
  await page.getByText("Somebody has this secret, and only one person may at a time.").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  await settled(page, "/checkouts");
  const other = page.getByRole("row").filter({ hasText: "To look" });
  check((await other.getByRole("button", { name: /^Extend / }).count()) === 0, "what somebody else has can be extended");
  await other.getByRole("button", { name: /^Force back .* from olga$/ }).press("Enter");
  await dialog.getByText("Whoever has seen a secret still knows it").waitFor();
  await accessible(page, "force a checkout back");
  await dialog.getByRole("button", { name: "Force back" }).press("Enter");
  await page.getByText("The checkout was ended.").waitFor();
  await page.getByText("No secret is checked out").waitFor();

  // A lock ends one, too. The history says of each what it was.
  await call("POST", "/checkouts", { safe_id: demo.id, account_id: demo.bindings[0].account_id, reason: "Until the lock" });
  await call("POST", `/safes/${demo.id}/lock`);
  await page.getByRole("navigation", { name: "Views of checkouts" }).getByRole("link", { name: "History" }).press("Enter");
  for (const [reason, cause] of [["INC-1042", "Given back"], ["To look", "Taken back by others"], ["Until the lock", "Safe locked"]]) await page.getByRole("row").filter({ hasText: reason }).getByText(cause, { exact: true }).waitFor();
  await accessible(page, "history of checkouts");
  await shoot(page, "history of checkouts");
  await page.getByLabel("Whose").selectOption({ label: "Mine" });
  await until("only one's own are left", async () => (await page.getByRole("row").filter({ hasText: "To look" }).count()) === 0);
  check((await page.getByRole("row").filter({ hasText: "INC-1042" }).count()) === 1, "one's own are gone");
  await settled(hers, "/checkouts?status=all");
  await hers.getByText("To look").first().waitFor({ state: "attached" });
  await hers.getByRole("row").getByRole("link").first().click();
  await hers.getByText("Taken back by others").first().waitFor();
  for (const [width, name] of [[1280, "desktop"], [390, "phone"]]) {
    await page.setViewportSize({ width, height: 800 });
    for (const path of ["/checkouts", "/checkouts?status=all", `/checkouts/${out.id}`, `/safes/${demo.id}`]) {
      await settled(page, path);
      const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      check(beyond <= 1, `${path} on a ${name} is ${beyond} pixels too wide`);
    }
  }
});
