// Every page, in three themes for an accessibility scan, and in four languages
// on a desktop and on a phone for texts that are missing or do not fit.
import { accessible, api, check, choose, letter, open, prompt, run, settled, shoot, signIn, until, world } from "./lib.mjs";

const sizes = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };

// Something of everything, so that no page is looked at empty alone.
async function fill(call) {
  const [safe] = await call("GET", "/safes?q=Demo");
  const [resource] = await call("GET", "/resources");
  const [account] = await call("GET", "/accounts");
  await call("POST", "/personal-access-tokens", { name: "ci", scopes: ["safes:read"], expires_in_days: 30 });
  await call("POST", "/org/members", { email: "somebody.with.a.long.address@department.example.com", role: "operator", password: "chosen-by-somebody" });
  const policy = await call("POST", "/policies", {
    name: "Only from the office, on working days", description: "For everybody who has business there.", action: "require_approval", jit: { approvers: 2, max_seconds: 14400, auto_expire: true },
    safe_ids: [safe.id],
    conditions: { time_window: { time_zone: "America/Argentina/Buenos_Aires", windows: [{ days: ["mon", "tue", "wed", "thu", "fri"], from: "08:00", to: "18:00" }] }, source_ips: ["10.0.0.0/8", "2001:db8:1234:5678::/64"], roles: ["operator", "policy_manager"] },
  });
  const group = await call("POST", "/org/groups", { name: "Database administrators of the night shift" });
  const [person] = (await call("GET", "/org/members")).filter((m) => m.email !== world.email);
  await call("PUT", `/org/groups/${group.id}/members/${person.user_id}`);
  await call("POST", `/safes/${safe.id}/members`, { group_id: group.id, role: "operator" });
  await call("POST", "/org/invitations", { emails: ["somebody.else.with.a.long.address@department.example.com"], role: "auditor" });
  const provider = await call("POST", "/org/sso/providers", {
    name: "The provider of the whole department", issuer: "https://login.department.example.com/realms/a-realm-with-a-long-name", client_id: "vaultpam", enabled: true, group_claim: "groups", rules: [{ value: "/department/operators", role: "operator" }],
  });
  await call("POST", "/org/sso/scim-tokens", { name: "Directory of the whole company and its subsidiaries" });
  const request = await call("POST", "/access-requests", { safe_id: safe.id, reason: "The disk of the database is nearly full, and nobody else is there at night", duration_seconds: 14400, ticket: "OPS-1234" });
  const review = await call("POST", "/access-reviews", { name: "Every quarter, for the auditors of the certification", include_groups: true, due_at: new Date(Date.now() + 86_400_000).toISOString() });
  const webhook = await call("POST", "/webhooks", { name: "The monitoring of the security operations centre", url: "https://siem.example.com/a/rather/long/address/that/has/no/place/to/break", events: ["*"] });
  const kept = await call("POST", "/safes", { name: "What has to open without the server", checkout: { enabled: true, ttl_seconds: 600 }, bindings: [{ resource_id: resource.id, account_id: account.id }] });
  await call("POST", `/safes/${kept.id}/break-glass-kit`, { shares: 5, threshold: 3, reason: "Every year, for the safe at the bank in the next town" });
  const [kit] = await call("GET", "/audit-events?type=BREAK_GLASS_KIT_CREATED");
  const redis = await call("POST", "/resources", { name: "Cache of the shop", type: "redis", host: world.more.host, port: world.more.port, tls: { mode: "disable" } });
  const admin = await call("POST", "/accounts", { name: "Whoever makes users at the cache of the shop", username: "default", resource_id: redis.id, credential: { kind: "password", value: world.more.password } });
  const made = await call("POST", "/accounts", { name: "Support engineers at the cache", username: "app", resource_id: redis.id, credential: { kind: "ephemeral", ephemeral: { admin_account_id: admin.id, rules: ["~app:*", "+@read"] } } });
  const shop = await call("POST", "/safes", { name: "Shop", checkout: { enabled: true, ttl_seconds: 3600 }, bindings: [{ resource_id: redis.id, account_id: made.id }] });
  const out = await call("POST", "/checkouts", { safe_id: shop.id, account_id: made.id, reason: "Carts are empty" });
  await fetch(world.more.down);
  await call("POST", `/checkouts/${out.id}/check-in`);
  await call("POST", "/ssh-ca/rotate", { activate_after_seconds: 86_400 }).then(() => call("POST", "/ssh-ca/rotate", { activate_after_seconds: 86_400 }));
  return { webhook, review, request, safe, resource, account, policy, group, provider, kit, made };
}

/** What a look at the texts of a page finds wrong. */
function wrongTexts(language) {
  const out = [];
  const text = document.body.innerText;
  for (const key of text.match(/\b(shell|ui|safes|resources|accounts|rotations|leases|kits|sshca|members|approvals|reach|reviews|groups|invitations|provisioning|notifications|organization|profile|sso|confirmations|policies|start|sessions|recordings|audit|overview|system|player|terminal|checkouts)\.[a-z][a-zA-Z]+(\.[a-zA-Z_]+)*\b/g) ?? []) {
    if (!/^[a-z]+\.[a-z_]+$/.test(key) || !document.querySelector(`code, .font-mono, option[value="${key}"]`)) out.push(`the text ${key} is missing`);
  }
  if (/\{\{\w+\}\}/.test(text)) out.push("a text has a place that nobody filled");
  const beyond = document.documentElement.scrollWidth - innerWidth;
  if (beyond > 1) out.push(`the page is ${beyond} pixels too wide`);
  for (const e of document.querySelectorAll("button, a, label, h1, h2, h3, th, dt, legend, select")) {
    if (!e.checkVisibility() || e.closest(".sr-only, .line-clamp-1, .truncate, .xterm, .ap-wrapper") || getComputedStyle(e).display === "inline") continue;
    const over = e.scrollWidth - e.clientWidth;
    if (e.clientWidth > 0 && over > 1) out.push(`"${e.textContent.trim().slice(0, 60)}" does not fit, by ${over} pixels`);
  }
  if (document.documentElement.lang !== language) out.push(`the page says that it is in "${document.documentElement.lang}"`);
  return [...new Set(out)];
}

await run(async () => {
  const call = await api();
  const { webhook, review, request, safe, resource, account, policy, group, provider, kit, made } = await fill(call);
  const page = await open();
  await page.goto("/safes");
  await page.getByLabel("E-mail").waitFor();
  await look("sign-in");
  await page.goto("/new-password#vpl_x");
  await look("new password");
  await page.goto(await letter("somebody.else.with.a.long.address@department.example.com"));
  await page.getByLabel("Your name").waitFor();
  await look("invitation");
  await page.goto("/safes");
  await signIn(page);
  await page.goto(`/terminal?safe=${safe.id}`);
  await prompt(page);
  await look("terminal at work");
  await page.keyboard.type("echo recorded; exit\n");
  await page.getByText("The session is over").waitFor();
  let recording;
  await until("the recording is sealed", async () => ([recording] = await call("GET", "/recordings?status=completed")).length > 0);
  const [session] = await call("GET", "/sessions?status=ended");
  const [event] = await call("GET", "/audit-events?limit=1");
  const device = await call("POST", "/auth/device", { client_name: "vaultpam on build-1" });
  const [who] = (await call("GET", "/org/members")).filter((m) => m.email === world.email);
  await call("PATCH", `/safes/${safe.id}`, { checkout: { enabled: true, ttl_seconds: 3600, exclusive: true }, break_glass: { user_ids: [who.user_id] } });
  const checkout = await call("POST", "/checkouts", { safe_id: safe.id, account_id: safe.bindings[0].account_id, emergency: true, reason: "The disk of the database is full, and nobody who could approve answers the telephone" });
  await call("PATCH", "/org", { dual_control: true });
  await call("PATCH", `/safes/${safe.id}`, { file_transfer: "allowed" });
  const [waiting] = await call("GET", "/confirmations");
  const paths = [
    "/device", `/device?code=${device.user_code}`,
    "/", "/safes", "/safes/new", `/safes/${safe.id}`, `/safes/${safe.id}/edit`, "/resources", "/resources/new", `/resources/${resource.id}`, `/resources/${resource.id}/edit`,
    "/checkouts", "/checkouts?status=all", "/checkouts?user_id=none", `/checkouts/${checkout.id}`,
    "/accounts", "/accounts/new", "/accounts/import", `/accounts/${account.id}`, `/accounts/${account.id}/edit`, `/accounts/${made.id}`, `/accounts/${account.id}/rotation`, "/accounts/rotations", "/accounts/health", "/accounts/leases", "/organization/ssh-ca", "/kits", `/kits/${kit.id}`, `/safes/${safe.id}/kit`, "/approvals", `/approvals/${request.id}`, "/confirmations", `/confirmations/${waiting.id}`, "/policies", "/policies/new", "/policies/try", `/policies/${policy.id}`, `/policies/${policy.id}/edit`, "/start", "/sessions", `/sessions/${session.id}`,
    "/recordings", `/recordings/${recording.id}`, "/audit", `/audit/${event.id}`, "/audit/verify", "/access", "/reviews", `/reviews/${review.id}`, "/profile/access", "/members", "/groups", `/groups/${group.id}`, "/invitations", "/organization", "/organization/sso", "/organization/sso/new", `/organization/sso/${provider.id}`, "/organization/sso/programs/new", "/organization/provisioning", "/organization/notifications", `/organization/notifications/${webhook.id}`, "/system", "/profile", "/profile/tokens", "/profile/ssh-keys",
    "/no-such-page", "/terminal", `/terminal?safe=${safe.id}&emergency=true`,
  ];
  const began = Date.now();
  for (const path of paths) {
    await settled(page, path);
    await page.locator("h1").first().waitFor();
    await look(path);
  }
  console.log(`${paths.length + 2} pages, three themes, four languages, two sizes: ${((Date.now() - began) / 1000).toFixed(1)} s`);

  async function look(name) {
    await page.locator("main").first().waitFor();
    check((await page.locator("main").count()) === 1, `${name}: ${await page.locator("main").count()} main landmarks`);
    await accessible(page, name);
    for (const language of ["de", "fr", "pl", "en"]) {
      await choose(page, "language", language);
      await page.waitForFunction((l) => document.documentElement.lang === l, language);
      for (const [size, viewport] of Object.entries(sizes)) {
        await page.setViewportSize(viewport);
        for (const found of await page.evaluate(wrongTexts, language)) check(false, `${language} ${size} ${name}: ${found}`);
        if (world.keep) await shoot(page, `${name} ${language} ${size}`);
      }
    }
    await page.setViewportSize(sizes.desktop);
  }
});
