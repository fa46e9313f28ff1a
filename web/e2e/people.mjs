// Somebody is invited by a letter, chooses a password, works by the role of a
// group, loses it, forgets the password and becomes the owner in the end.
import { accessible, check, letter, open, prompt, run, settled, signIn, until, world } from "./lib.mjs";

const email = "nadia@example.com";
const later = "chosen-after-the-letter";

await run(async () => {
  const page = await open();
  await signIn(page, { path: "/invitations" });
  await page.getByRole("button", { name: "Invite people" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("E-mail addresses").fill(`${email}, not an address`);
  await dialog.getByRole("button", { name: "Invite people" }).click();
  await dialog.getByText(/not: /).first().waitFor(); // the second word is no address, and the page says which
  await dialog.getByLabel("E-mail addresses").fill(email);
  await dialog.getByRole("button", { name: "Invite people" }).click();
  await page.getByRole("cell", { name: email, exact: true }).waitFor();
  await page.getByText("Sent", { exact: true }).waitFor();

  const theirs = await open();
  const link = await letter(email);
  await theirs.goto(link);
  await theirs.getByLabel("Your name").fill("Nadia");
  check(!theirs.url().includes("vpl_"), `the link's token stays in the address: ${theirs.url()}`);
  await theirs.getByLabel("New password").fill("short");
  await theirs.getByRole("button", { name: "Accept the invitation" }).click();
  await theirs.getByText(/12/).first().waitFor();
  await accessible(theirs, "invitation");
  await theirs.getByLabel("New password").fill(world.password);
  await theirs.getByRole("button", { name: "Accept the invitation" }).click();
  await theirs.getByRole("navigation", { name: "Pages" }).waitFor();
  await settled(theirs, "/safes");
  await theirs.getByText("No Safes").first().waitFor();
  check((await theirs.getByText("Demo", { exact: true }).count()) === 0, "somebody new sees a Safe");

  // A group gets a role, and she comes into the group.
  await page.goto("/groups");
  await page.getByRole("button", { name: "Create a group" }).first().click();
  await dialog.getByLabel("Name").fill("On call");
  await dialog.getByRole("button", { name: "Create a group" }).click();
  await page.getByRole("heading", { name: "On call" }).waitFor();
  await page.getByRole("button", { name: "Add a person" }).click();
  await dialog.getByLabel("Find a person").fill("nadia");
  await until("she is found", async () => (await dialog.getByLabel("Person", { exact: true }).inputValue()) !== "");
  await dialog.getByRole("button", { name: "Add a person" }).click();
  await page.locator("section").getByText(email).waitFor();
  await page.goto("/safes");
  await page.getByRole("link", { name: "Demo", exact: true }).click();
  await page.getByRole("button", { name: "Add a member" }).click();
  await dialog.getByLabel("Who", { exact: true }).selectOption("group");
  await dialog.getByLabel("Group", { exact: true }).selectOption({ label: "On call" });
  await dialog.getByRole("button", { name: "Add", exact: true }).click();
  await page.getByText("On call", { exact: true }).waitFor();

  await settled(theirs, "/safes");
  await theirs.getByRole("link", { name: "Demo", exact: true }).click();
  await theirs.getByRole("button", { name: "Launch" }).click();
  await prompt(theirs);

  // Taken out of the group, she is cut off at once.
  await page.goto("/groups");
  await page.getByRole("link", { name: "On call" }).click();
  await page.getByRole("button", { name: `Remove ${email}` }).click();
  await dialog.getByRole("button", { name: "Remove" }).click();
  await theirs.getByText("The session is over").waitFor();

  // A new password by a letter.
  await page.goto("/members");
  await page.getByRole("button", { name: `Actions for ${email}` }).click();
  await page.getByRole("menuitem", { name: "Mail a link to a new password" }).click();
  await dialog.getByRole("button", { name: "Mail a link to a new password" }).click();
  await dialog.waitFor({ state: "hidden" });
  let reset;
  await until("the letter with the new link is there", async () => (reset = await letter(email)).startsWith("/new-password"));
  const fresh = await open();
  await fresh.goto(reset);
  await fresh.getByLabel("New password").fill(later);
  await accessible(fresh, "new password");
  await fresh.getByRole("button", { name: "Save and sign in" }).click();
  await fresh.getByLabel("E-mail").waitFor();
  await signIn(fresh, { email, password: later });

  // The ownership goes over to her.
  await page.goto("/members");
  await page.getByRole("button", { name: `Actions for ${email}` }).click();
  await page.getByRole("menuitem", { name: "Transfer the ownership" }).click();
  await dialog.getByRole("textbox").fill(email);
  await dialog.getByRole("button", { name: "Transfer the ownership" }).click();
  await until("she is the owner", async () => {
    await settled(fresh, "/members");
    return (await fresh.getByRole("row", { name: new RegExp(email) }).innerText()).includes("Owner");
  });
});
