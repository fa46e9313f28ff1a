// Somebody says how users are made at a database, and looks after those that
// were made for checkouts: one is dropped at once, another only after the target
// was down. By keyboard, with an account that has a hostile name.
import { accessible, api, check, open, run, settled, shoot, signIn, until, world } from "./lib.mjs";

const hostile = `<img src=x onerror="alert('name')">`;
const redis = world.more;
const users = async () => (await (await fetch(redis.users)).text()).split("\n").filter((u) => u.startsWith("vp_"));

await run(async () => {
  const call = await api();
  const resource = await call("POST", "/resources", { name: hostile, type: "redis", host: redis.host, port: redis.port, tls: { mode: "disable" } });
  const admin = await call("POST", "/accounts", { name: "Redis admin", username: "default", resource_id: resource.id, credential: { kind: "password", value: redis.password } });
  const page = await open();
  await signIn(page);

  // The form asks for what a Redis takes, and for nothing that it refuses.
  await settled(page, `/accounts/new?resource=${resource.id}`);
  await page.getByLabel("Name", { exact: true }).fill(hostile);
  await page.getByLabel("Username", { exact: true }).fill("app");
  await page.getByLabel("Kind").selectOption("ephemeral");
  await page.getByLabel(/Rules of a Redis user/).fill("~app:*\n+@read\n+ping\n");
  for (const other of [/Principals of an SSH certificate/, /Statements that create the user/]) check((await page.getByLabel(other).count()) === 0, `the form of a Redis account asks for ${other}`);
  await page.getByLabel(/Administrator’s account/).selectOption(admin.id);
  await page.getByLabel(/Lifetime in seconds/).fill("3600");
  await accessible(page, "an account without a secret");
  await page.getByRole("button", { name: "Create an account" }).press("Enter");
  await page.getByRole("heading", { name: hostile, level: 1 }).waitFor();
  const account = (await call("GET", "/accounts?q=onerror"))[0];
  check(account.credential.ephemeral.rules.join(" ") === "~app:* +@read +ping", `the rules are ${JSON.stringify(account.credential)}`);
  await page.getByLabel("Rules of the Redis user").getByText("+@read").waitFor();
  await page.getByRole("link", { name: "Redis admin" }).waitFor();
  await accessible(page, "account made at each launch");

  // What is set can be changed, rather than entered anew.
  await page.getByRole("button", { name: "Set credential" }).press("Enter");
  const dialog = page.getByRole("dialog");
  check((await dialog.getByLabel(/Rules of a Redis user/).inputValue()) === "~app:*\n+@read\n+ping", "the rules that are set are not in the form");
  await page.keyboard.press("Escape");

  await page.getByRole("link", { name: "Users that were made" }).press("Enter");
  await page.getByRole("heading", { name: "Users at targets", level: 1 }).waitFor();
  await page.getByText("No user was made yet").waitFor();

  const safe = await call("POST", "/safes", { name: hostile, checkout: { enabled: true, ttl_seconds: 3600 }, bindings: [{ resource_id: resource.id, account_id: account.id }] });
  const take = (reason) => call("POST", "/checkouts", { safe_id: safe.id, account_id: account.id, reason });
  const first = await take(hostile);
  check((await users()).join() === first.username, `Redis has ${await users()}`);
  await settled(page, "/accounts/leases");
  const row = page.getByRole("row").filter({ hasText: first.username });
  await row.getByText("In use", { exact: true }).waitFor();
  await until("the target is named", async () => (await row.innerText()).split("onerror").length === 3); // account and resource
  check((await page.locator("main img").count()) === 0, "a name became an element");
  await accessible(page, "leases");
  await shoot(page, "leases");

  // All of one, and from there the end of it.
  await row.getByRole("button", { name: first.username, exact: true }).press("Enter");
  await dialog.getByText("The user is there, and can log in until the time below.").waitFor();
  await dialog.getByText(hostile).nth(2).waitFor(); // account, target, Safe
  await dialog.getByText(world.email).waitFor();
  check((await dialog.locator("img").count()) === 0, "a name became an element");
  check(!(await page.content()).includes(first.value), "the password is on the page");
  await accessible(page, "one lease");
  await shoot(page, "one lease");
  await dialog.getByRole("button", { name: "Drop now" }).press("Enter");
  await dialog.getByText(/what runs under its name is cut/).waitFor();
  await dialog.getByRole("button", { name: "Drop now" }).press("Enter");
  await dialog.getByText("The target was seen not to have the user any more.").waitFor();
  check((await dialog.getByRole("button", { name: "Drop now" }).count()) === 0, "who is gone can be dropped");
  check((await users()).length === 0, `Redis has ${await users()}`);
  await page.keyboard.press("Escape");

  // The target is down when the checkout ends.
  const second = await take("INC-7");
  await fetch(redis.down);
  await call("POST", `/checkouts/${second.id}/check-in`);
  const late = page.getByRole("row").filter({ hasText: second.username });
  await late.getByText("Target does not answer").waitFor();
  await late.getByText("Being dropped", { exact: true }).waitFor();
  await page.getByLabel("State").selectOption("revoking");
  await until("the list has those alone", async () => (await page.getByRole("row").count()) === 2);
  await late.getByRole("button", { name: second.username, exact: true }).press("Enter");
  await dialog.getByText("See that the target runs, and that this server can reach it.", { exact: false }).waitFor();
  await dialog.getByText("INC-7").waitFor();
  await accessible(page, "a lease that is late");
  await shoot(page, "a lease that is late");
  await page.keyboard.press("Escape");
  for (const [width, name] of [[1280, "desktop"], [390, "phone"]]) {
    await page.setViewportSize({ width, height: 800 });
    for (const path of ["/accounts/leases", `/accounts/${account.id}`]) {
      await settled(page, path);
      const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      check(beyond <= 1, `${path} on a ${name} is ${beyond} pixels too wide`);
    }
  }
  // On the phone, too, a person sees what is wrong and can act.
  await settled(page, "/accounts/leases");
  await late.getByText("Target does not answer").waitFor();
  await shoot(page, "leases on a phone");
  await fetch(redis.up);
  await late.getByRole("button", { name: second.username, exact: true }).press("Enter");
  await dialog.getByRole("button", { name: "Try again now" }).press("Enter");
  await dialog.getByText("The target is asked again at once", { exact: false }).waitFor();
  await dialog.getByRole("button", { name: "Try again now" }).press("Enter");
  await dialog.getByText("The target was seen not to have the user any more.").waitFor();
  await page.keyboard.press("Escape");
  await late.getByText("Gone", { exact: true }).waitFor();
  check((await users()).length === 0, `Redis has ${await users()}`);
  await page.setViewportSize({ width: 1280, height: 800 });
  check((await late.getByRole("button").count()) === 1, "who is gone can be dropped");

  // An auditor sees all, and does nothing.
  await call("POST", "/org/members", { email: "auditor@example.com", role: "auditor", password: "chosen-by-somebody" });
  const looks = await open();
  await looks.goto("/accounts/leases");
  await looks.getByLabel("E-mail").fill("auditor@example.com");
  await looks.getByLabel("Password").fill("chosen-by-somebody");
  await looks.getByRole("button", { name: "Sign in", exact: true }).click();
  await looks.getByLabel("New password").first().fill("a-new-one-of-their-own");
  await looks.keyboard.press("Enter");
  const third = await take("INC-8");
  await page.getByRole("row").filter({ hasText: third.username }).getByRole("button", { name: `Drop now: ${third.username}` }).waitFor();
  await looks.getByRole("row").filter({ hasText: third.username }).getByText("In use", { exact: true }).waitFor();
  check((await looks.getByRole("button", { name: /^Drop/ }).count()) === 0, "an auditor is offered to drop a user");
});
