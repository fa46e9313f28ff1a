// An administrator lets the organization believe its directory, and somebody
// who was never here signs in with their password for it.
import { accessible, api, check, open, run, settled, until, world } from "./lib.mjs";

await run(async () => {
  const call = await api();
  const { slug } = await call("GET", "/org");
  const group = await call("POST", "/org/groups", { name: "Operations", source: "claim" });
  const baseURL = world.base.replace("127.0.0.1", "localhost");
  const page = await open({ baseURL });
  await page.goto("/organization/sso/new");
  await page.getByLabel("E-mail").fill(world.email);
  await page.getByLabel("Password", { exact: true }).fill(world.password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByLabel("Protocol").selectOption("LDAP, Active Directory");
  await page.getByLabel("Name", { exact: true }).fill("Corp directory");
  await page.getByLabel("Servers", { exact: true }).fill("http://dc1.example.com");
  await page.getByLabel("Where people are (base DN)").fill("people");
  await page.getByRole("button", { name: "Add a provider" }).click();
  await page.getByText(/must begin with ldaps/).waitFor();
  await page.getByText(/is not a distinguished name/).first().waitFor();
  await accessible(page, "add a directory");
  await page.getByLabel("Servers", { exact: true }).fill(world.ldap.url);
  await page.getByLabel("Where people are (base DN)").fill(`ou=people,${world.ldap.base_dn}`);
  await page.getByLabel("Account that searches (DN)").fill(world.ldap.bind_dn);
  await page.getByLabel("Password of that account").fill("not this one");
  await page.getByLabel("Certificates that vouch for the servers").fill(world.ldap.ca);
  await page.getByLabel("Where groups are (base DN)").fill(`ou=groups,${world.ldap.base_dn}`);
  await page.getByLabel("Domains of addresses").fill("example.com");
  await page.getByLabel("Make users of people who are new").check();
  await page.getByRole("button", { name: "Add a rule" }).click();
  await page.getByLabel("Group (name or DN)").fill("ops");
  await page.getByRole("checkbox", { name: "Operations" }).check();
  await page.getByRole("button", { name: "Add a provider" }).click();
  await page.getByText("Not read yet").waitFor();
  await page.goto("/organization/sso");
  await page.getByRole("button", { name: "Test: Corp directory" }).or(page.getByRole("button", { name: /Corp directory$/ })).first().click();
  await page.getByText(/name or password is wrong/).waitFor();
  await page.getByRole("link", { name: "Corp directory" }).click();
  await page.getByLabel("Password of that account").fill(world.ldap.password);
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("link", { name: "Corp directory" }).waitFor();

  const theirs = await open({ baseURL });
  const types = async (password) => {
    await theirs.goto(`/login/${slug}`);
    await theirs.getByRole("button", { name: "Sign in with Corp directory" }).click();
    await theirs.getByLabel("User name").fill("nora");
    await theirs.getByLabel("Password").fill(password);
    check(!theirs.url().includes("state="), `what opens something stays in the address: ${theirs.url()}`);
    return theirs.getByRole("button", { name: "Sign in", exact: true }).click();
  };
  await types("wrong");
  await theirs.getByRole("link", { name: "To the sign-in" }).waitFor();
  await theirs.goto(`/login/${slug}`);
  await theirs.getByRole("button", { name: "Sign in with Corp directory" }).click();
  await theirs.getByLabel("User name").waitFor();
  await accessible(theirs, "sign-in by a directory");
  await types(world.ldap.nora);
  await theirs.getByRole("navigation", { name: "Pages" }).waitFor();
  await settled(theirs, "/profile");
  await theirs.getByRole("main").getByText("nora@example.com").first().waitFor();
  check((await call("GET", `/org/groups/${group.id}`)).member_count === 1, "she is not in the group");

  await page.getByRole("link", { name: "Corp directory" }).click();
  await page.getByRole("button", { name: "Read now" }).click();
  await page.getByText("Last read").waitFor();
  await accessible(page, "a directory");
  await until("the identity is kept", async () => (await call("GET", "/org/sso/identities")).length === 1);
});
