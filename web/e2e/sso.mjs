// An administrator lets the organization believe a provider; somebody who was
// never here signs in by it, and the owner links an account of their own.
import { accessible, api, check, open, run, settled, until, world } from "./lib.mjs";

await run(async () => {
  const call = await api();
  const { slug } = await call("GET", "/org");
  // Providers send people back to the public address, which is localhost here.
  const baseURL = world.base.replace("127.0.0.1", "localhost");
  const page = await open({ baseURL });
  await page.goto("/organization/sso");
  await page.getByLabel("E-mail").fill(world.email);
  await page.getByLabel("Password").fill(world.password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByRole("heading", { name: "Single sign-on" }).waitFor();
  await page.getByText("No provider yet").waitFor();

  await page.goto("/groups");
  await page.getByRole("button", { name: "Create a group" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill("From the directory");
  await dialog.getByLabel("Filled by single sign-on").check();
  await dialog.getByRole("button", { name: "Create a group" }).click();
  await page.getByText("This group is filled by Single sign-on").waitFor();

  await page.goto("/organization/sso");
  await page.getByRole("link", { name: "Add a provider" }).click();
  await page.getByLabel("Name").fill("Corp");
  await page.getByLabel("Issuer").fill("http://idp.example.com");
  await page.getByLabel("Client ID").fill(world.idp.client_id);
  await page.getByLabel("Client secret").fill(world.idp.client_secret);
  await page.getByLabel("Make users of people who are new").check();
  await page.getByRole("button", { name: "Add a provider" }).click();
  await page.getByText(/https:\/\//).first().waitFor();
  await accessible(page, "add a provider");
  await page.getByLabel("Issuer").fill(world.idp.issuer);
  await page.getByLabel("Group claim").fill("groups");
  await page.getByRole("button", { name: "Add a rule" }).click();
  await page.getByLabel("Value of the claim").fill("/ops");
  await page.getByLabel("From the directory").check();
  await page.getByRole("button", { name: "Add a provider" }).click();
  await page.getByText("Redirect address").waitFor();
  await accessible(page, "a provider");
  await page.goto("/organization/sso");
  await page.getByRole("button", { name: "Test: Corp" }).click();
  await page.getByText("The provider answers as it should.").waitFor();
  await accessible(page, "single sign-on");

  // Somebody new, by the page of the organization.
  const theirs = await open({ baseURL });
  await theirs.goto(`/login/${slug}`);
  await theirs.getByRole("button", { name: "Sign in with Corp" }).waitFor();
  await accessible(theirs, "sign-in by a provider");
  await theirs.getByRole("button", { name: "Sign in with Corp" }).click();
  await theirs.getByRole("navigation", { name: "Pages" }).waitFor();
  check(!/code|state/.test(theirs.url()), `what opens something stays in the address: ${theirs.url()}`);
  await settled(theirs, "/profile");
  await theirs.getByRole("main").getByText("nora@corp.test").first().waitFor();
  await theirs.getByText("Accounts that sign you in").waitFor();
  check(((await call("GET", "/org/groups"))[0].member_ids ?? []).length === 1, "the claim did not fill the group");
  await theirs.reload();
  await theirs.getByRole("navigation", { name: "Pages" }).waitFor();
  await theirs.goto("/login/callback/sso_x?state=guessed&code=guessed");
  await theirs.getByRole("heading", { name: "Sign-in failed" }).waitFor();
  await accessible(theirs, "sign-in failed");

  // The owner links an account themselves.
  await fetch(world.idp.person + "?sub=owner&email=owner@corp.test");
  await page.goto("/profile");
  await page.getByRole("button", { name: "Link an account of Corp" }).click();
  await page.waitForURL("**/profile");
  await page.getByText("owner@corp.test").waitFor();
  await until("the identity is kept", async () => (await call("GET", "/org/sso/identities")).length === 2);

  // A rule for programs.
  const bot = await call("POST", "/org/members", { email: "deploy@ci.example.com", role: "operator", service_user: true });
  await page.goto("/organization/sso/programs/new");
  await page.getByLabel("Name").fill("Deployments");
  await page.getByLabel("Issuer").fill("https://token.actions.githubusercontent.com");
  await page.getByLabel("Exact value").fill("repo:corp/app:ref:refs/heads/main");
  await page.getByLabel("Service user").selectOption(bot.user_id);
  await accessible(page, "a rule for programs");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("link", { name: "Deployments" }).click();
  await page.getByLabel("Valid for, in minutes").fill("30");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("sub = repo:corp/app").waitFor();
  check((await call("GET", "/org/sso/workload-rules"))[0].ttl_seconds === 1800, "the change was not kept");
});
