// A manager names somebody for emergencies. Who is named finds the Safe without
// being in it, reads what it brings with it, and gets in past the approval with
// a reason, and past nothing else. It is marked wherever it is seen, and the
// secret is rotated afterwards.
import { accessible, api, check, open, prompt, run, settled, shoot, shown, signIn, until, world } from "./lib.mjs";

const hostile = `Core <img src=x onerror="alert('safe')">`;
const why = `The core is down <img src=x onerror="alert('why')">, nobody answers`;

await run(async () => {
  const call = await api();
  const person = {};
  for (const name of ["nele", "otto"]) person[name] = await call("POST", "/org/members", { email: `${name}@example.com`, role: "operator", password: world.password, must_change_password: false });
  const [demo] = await call("GET", "/safes?q=Demo");
  const [binding] = demo.bindings;
  const resource = await call("GET", `/resources/${binding.resource_id}`);
  const safe = await call("POST", "/safes", { name: hostile, bindings: demo.bindings, approval: "dual", checkout: { enabled: true, ttl_seconds: 900 } });

  // Named by keyboard: found by their name, taken away again, and kept.
  const page = await open();
  await signIn(page, { path: `/safes/${safe.id}/edit` });
  const group = page.getByRole("group", { name: "Emergencies" });
  for (const name of ["otto", "nele"]) {
    await group.getByLabel("Find a person").fill(name);
    await until(`${name} is found`, async () => (await group.getByLabel("Person", { exact: true }).inputValue()) === person[name].user_id);
    await group.getByRole("button", { name: "Name", exact: true }).press("Enter");
  }
  await group.getByText("otto@example.com").first().waitFor();
  await accessible(page, "people named for emergencies");
  await shoot(page, "people named for emergencies");
  await group.getByRole("button", { name: "Take otto@example.com away" }).press("Enter");
  await page.getByRole("button", { name: "Save" }).press("Enter");
  await page.getByRole("heading", { name: hostile, level: 1 }).waitFor();
  await page.getByText("nele@example.com").waitFor();
  const said = await call("GET", `/safes/${safe.id}`);
  check(said.break_glass.user_ids.join() === person.nele.user_id && said.approval === "dual", `the Safe names ${said.break_glass.user_ids} and asks for ${said.approval}`);
  check((await page.getByRole("button", { name: /Emergency/ }).count()) === 0, "who is not named is offered an emergency");

  // Who is not named finds nothing.
  const his = await open();
  await signIn(his, { email: "otto@example.com" });
  await his.getByText("You are not a member of any Safe.").waitFor();
  check((await his.getByRole("heading", { name: "In an emergency" }).count()) === 0, "who is not named finds a Safe");

  // Who is named sees where it leads, and nothing else of it.
  const hers = await open();
  await signIn(hers, { email: "nele@example.com" });
  await hers.getByRole("heading", { name: "In an emergency" }).waitFor();
  await hers.getByRole("link", { name: hostile }).press("Enter");
  await hers.getByText("You are named for emergencies of this Safe").waitFor();
  check((await hers.getByRole("heading", { name: "Members" }).count()) === 0 && (await hers.getByRole("button", { name: "Launch" }).count()) === 0, "who is not in the Safe sees the rest of it");
  check((await hers.locator("main img").count()) === 0, "a name became an element");
  await accessible(hers, "a Safe in an emergency");
  await shoot(hers, "a Safe in an emergency");

  // The first answer is that of a sign-in long ago: she confirms who she is, and it goes on.
  let asked = 0;
  await hers.route("**/api/v1/checkouts", async (route) => {
    if (route.request().method() !== "POST" || asked++ > 0) return route.fallback();
    return route.fulfill({ status: 403, contentType: "application/json", body: JSON.stringify({ error: "STEP_UP_REQUIRED", message: "An emergency asks you to authenticate again first." }) });
  });
  await hers.getByRole("button", { name: /^Emergency checkout: / }).press("Enter");
  const dialog = hers.getByRole("dialog").first();
  await dialog.getByText("For emergencies only").waitFor();
  await dialog.getByText("are told at once").waitFor();
  check(await dialog.getByRole("button", { name: "Emergency checkout" }).isDisabled(), "an emergency needs no reason");
  await dialog.getByLabel("What has happened?").fill(why);
  await accessible(hers, "emergency checkout");
  await shoot(hers, "emergency checkout");
  await dialog.getByRole("button", { name: "Emergency checkout" }).press("Enter");
  const again = hers.getByRole("dialog", { name: "Confirm that it is you" });
  await again.getByLabel("Password").fill(world.password);
  await again.getByRole("button", { name: "Confirm", exact: true }).press("Enter");
  const secretShown = hers.getByLabel("Secret", { exact: true });
  await secretShown.waitFor();
  const secret = (await secretShown.textContent()).trim();
  check(secret.length > 8, `the secret is "${secret}"`);
  await hers.getByRole("dialog").getByRole("button", { name: "Close" }).click();
  check(!(await hers.content()).includes(secret), "the secret is still on the page");
  const [out] = await call("GET", `/checkouts?safe_id=${safe.id}`);
  check(out?.emergency && out.reason === why && out.user_id === person.nele.user_id, `the checkout is ${JSON.stringify(out)}`);

  // A session, with a reason of its own, which stands in no address.
  await hers.getByRole("button", { name: /^Emergency session: / }).press("Enter");
  await hers.getByText("For emergencies only").waitFor();
  await hers.getByLabel("What has happened?").fill("To look at it myself");
  await hers.getByRole("button", { name: "Emergency session" }).press("Enter");
  await prompt(hers);
  check(!hers.url().includes("look"), "the reason is in the address");
  await hers.getByText("Emergency", { exact: true }).waitFor();
  await hers.keyboard.type("echo core $((6*7))\n");
  await until("the shell answers", async () => (await shown(hers).innerText()).includes("core 42"));

  // It is marked wherever it is seen, and stands in the log.
  await settled(page, "/sessions");
  await page.getByRole("row").filter({ hasText: "nele@example.com" }).getByText("Emergency", { exact: true }).waitFor();
  await settled(page, "/checkouts");
  const row = page.getByRole("row").filter({ hasText: "nele" });
  await row.getByText("Emergency", { exact: true }).waitFor();
  check((await page.locator("main img").count()) === 0, "a reason became an element");
  await accessible(page, "checkouts with an emergency");
  await shoot(page, "checkouts with an emergency");
  const used = await call("GET", "/audit-events?type=BREAK_GLASS_USED");
  check(used.length === 2 && used.every((e) => e.target.id === safe.id && e.metadata.skipped_approvals === 2), `the log has ${JSON.stringify(used)}`);

  // A manager takes it back; the secret is rotated, whatever the Safe says.
  await row.getByRole("button", { name: /^Force back / }).press("Enter");
  await page.getByRole("dialog").getByRole("button", { name: "Force back" }).press("Enter");
  await page.getByText("The checkout was ended.").waitFor();
  await until("a rotation follows", async () => (await call("GET", `/rotations?account_id=${binding.account_id}`)).some((r) => r.trigger === "break_glass"), 40_000);
  await page.getByRole("navigation", { name: "Views of checkouts" }).getByRole("link", { name: "History" }).press("Enter");
  await row.getByRole("link").press("Enter");
  await page.getByText("It is rotated once it is back.").waitFor();
  await page.getByText(why).waitFor();

  // A lock holds, cuts the session, and she is told.
  await call("POST", `/safes/${safe.id}/lock`);
  await hers.getByText("The session is over").waitFor();
  await settled(hers, `/safes/${safe.id}`);
  await hers.getByText("that holds in an emergency, too").waitFor();
  check((await hers.getByRole("button", { name: /^Emergency/ }).count()) === 0, "a locked Safe offers a way in");
  await call("POST", `/safes/${safe.id}/unlock`);

  for (const [width, name] of [[1280, "desktop"], [390, "phone"]]) {
    for (const [window, path] of [[hers, "/safes"], [hers, `/safes/${safe.id}`], [hers, `/terminal?safe=${safe.id}&emergency=true`], [page, "/checkouts?status=all"], [page, "/sessions"], [page, `/safes/${safe.id}/edit`]]) {
      await window.setViewportSize({ width, height: 800 });
      await settled(window, path);
      const beyond = await window.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      check(beyond <= 1, `${path} on a ${name} is ${beyond} pixels too wide`);
    }
  }

  // Not named any more: nothing is left of it.
  await call("PATCH", `/safes/${safe.id}`, { break_glass: { user_ids: [] } });
  await settled(hers, `/safes/${safe.id}`);
  await hers.getByRole("heading", { name: "Page not found" }).waitFor();
  console.log(`${resource.name}: an emergency from being named to being forgotten`);
});
