// An administrator lets a directory in. It brings a person into its group, to
// which the Safe's manager gives a role; a directory that comes later waits for
// the manager's word, and one that is deleted is out.
import { accessible, check, open, run, signIn, until, world } from "./lib.mjs";

const person = "wanda@example.com";

async function scim(token, method, path, body) {
  const answer = await fetch(`${world.base}/scim/v2${path}`, {
    method, headers: { authorization: `Bearer ${token}`, "content-type": "application/scim+json" }, body: body && JSON.stringify(body),
  });
  return { status: answer.status, body: answer.status === 204 ? undefined : await answer.json() };
}

await run(async () => {
  const page = await open();
  await signIn(page, { path: "/organization/provisioning" });
  const dialog = page.getByRole("dialog");
  await page.getByText("No directory yet").waitFor();
  await page.getByText(`${world.base}/scim/v2`).waitFor();

  async function letIn(name) {
    await page.goto("/organization/provisioning");
    await page.getByRole("button", { name: "New token" }).first().click();
    await dialog.getByLabel("Name", { exact: true }).fill(name);
    await dialog.getByRole("button", { name: "New token" }).click();
    await dialog.getByText("Copy it now").waitFor();
    const token = await dialog.locator("code").innerText();
    check(/^vpc_\w{49}$/.test(token), `no token is shown: ${token.slice(0, 4)}`);
    await dialog.getByRole("button", { name: "Close" }).first().click();
    await page.getByText(name, { exact: true }).waitFor();
    check(!(await page.content()).includes(token), "the token stays in the page");
    return token;
  }
  const token = await letIn("Entra ID");
  await accessible(page, "provisioning");

  const made = await scim(token, "POST", "/Users", { userName: person, displayName: "Wanda" });
  check(made.status === 201, `a person: ${made.status}`);
  const group = await scim(token, "POST", "/Groups", { displayName: "Directory team", members: [{ value: made.body.id }] });
  check(group.status === 201, `a group: ${group.status}`);
  await page.goto("/members");
  await page.getByText(person).first().waitFor();

  await page.goto("/safes");
  await page.getByRole("link", { name: "Demo", exact: true }).click();
  await page.getByRole("button", { name: "Add a member" }).click();
  await dialog.getByLabel("Who", { exact: true }).selectOption("group");
  await dialog.getByLabel("Group", { exact: true }).selectOption({ label: "Directory team" });
  await dialog.getByRole("button", { name: "Add", exact: true }).click();
  await page.getByText("Directory team", { exact: true }).waitFor();
  const safe = page.url();

  const later = await letIn("Okta");
  const add = { Operations: [{ op: "add", path: "members", value: [{ value: made.body.id }] }] };
  const remove = { Operations: [{ op: "remove", path: "members" }] };
  check((await scim(later, "PATCH", `/Groups/${group.body.id}`, remove)).status === 204, "it takes nobody out");
  check((await scim(later, "PATCH", `/Groups/${group.body.id}`, add)).status === 403, "a directory that nobody confirmed brings people in");
  await page.goto(safe);
  await page.getByText("Filled by a directory not confirmed yet").waitFor();
  await page.getByRole("button", { name: "Confirm it" }).click();
  await until("the mark is gone", async () => (await page.getByText("Filled by a directory not confirmed yet").count()) === 0);
  check((await scim(later, "PATCH", `/Groups/${group.body.id}`, add)).status === 204, "a directory that was confirmed brings nobody in");

  await page.goto("/organization/provisioning");
  await page.getByText(/last used/).first().waitFor();
  await page.getByRole("listitem").filter({ hasText: "Okta" }).getByRole("button", { name: "Delete" }).click();
  await dialog.getByLabel(/Type the name/).fill("Okta");
  await dialog.getByRole("button", { name: "Delete" }).click();
  await until("it is gone", async () => (await page.getByText("Okta", { exact: true }).count()) === 0);
  check((await scim(later, "GET", "/Users")).status === 401, "a deleted token opens the door");
});
