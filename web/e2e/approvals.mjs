// Somebody asks for access on the Safe's page, somebody else gives less of it
// than was asked for, and the first launches; until it is taken away again.
import { accessible, api, check, open, prompt, run, settled, signIn, until, world } from "./lib.mjs";

await run(async () => {
  const call = await api();
  const people = {};
  for (const name of ["olga", "anton"]) people[name] = await call("POST", "/org/members", { email: `${name}@example.com`, role: "operator", password: world.password, must_change_password: false });
  const [demo] = await call("GET", "/safes?q=Demo");
  const safe = await call("POST", "/safes", { name: "Guarded", bindings: demo.bindings, approval: "single" });
  await call("POST", `/safes/${safe.id}/members`, { user_id: people.olga.user_id, role: "operator" });
  await call("POST", `/safes/${safe.id}/members`, { user_id: people.anton.user_id, role: "approver" });

  const hers = await open();
  await signIn(hers, { path: `/safes/${safe.id}`, email: "olga@example.com" });
  await hers.getByText("This Safe opens with the approval of others.").waitFor();
  check((await hers.getByRole("button", { name: "Launch" }).count()) === 0, "it can be launched without an approval");
  await accessible(hers, "Safe that asks for approval");
  await hers.getByRole("button", { name: "Request access" }).click();
  const dialog = hers.getByRole("dialog");
  await dialog.getByLabel("Why do you need it?").fill("The disk is full <b>now</b>");
  await dialog.getByLabel("For how long").selectOption({ label: "4 hours" });
  await dialog.getByLabel("Ticket").fill("OPS-7");
  await accessible(hers, "request dialog");
  await dialog.getByRole("button", { name: "Request access" }).click();
  await hers.getByText("Your request waits for somebody to decide.").waitFor();

  const his = await open();
  await signIn(his, { path: "/approvals?whose=todo", email: "anton@example.com" });
  await his.getByText("Yours to decide").waitFor();
  await his.getByRole("link", { name: "olga@example.com" }).click();
  await his.getByText("The disk is full <b>now</b>", { exact: true }).waitFor();
  await his.getByText("OPS-7").waitFor();
  await accessible(his, "request");
  await his.getByRole("button", { name: "Approve" }).click();
  await his.getByRole("dialog").getByLabel("For", { exact: true }).selectOption({ label: "1 hour" });
  await his.getByRole("dialog").getByLabel("Comment").fill("One hour will do.");
  await his.getByRole("dialog").getByRole("button", { name: "Approve" }).click();
  await his.getByText("In force").waitFor();

  await hers.getByText("Your access was approved. It holds until").waitFor();
  await hers.getByRole("button", { name: "Launch" }).click();
  await prompt(hers);
  await his.getByRole("button", { name: "Revoke" }).click();
  await his.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await hers.getByText("The session is over").waitFor();
  await settled(hers, `/safes/${safe.id}`);
  await hers.getByText("This Safe opens with the approval of others.").waitFor();

  // A Safe that can be requested, by somebody who is not in it.
  const requestable = await call("POST", "/safes", { name: "On demand", bindings: demo.bindings, visibility: "requestable" });
  await call("POST", `/safes/${requestable.id}/members`, { user_id: people.anton.user_id, role: "approver" });
  await settled(hers, `/safes/${requestable.id}`);
  await hers.getByRole("button", { name: "Request access" }).click();
  await dialog.getByLabel("Why do you need it?").fill("To look");
  await dialog.getByRole("button", { name: "Request access" }).click();
  await hers.getByText("Your request waits for somebody to decide.").waitFor();
  await hers.getByRole("link", { name: "Your request" }).click();
  await hers.getByRole("button", { name: "Take back" }).click();
  await dialog.getByRole("button", { name: "Take back" }).click();
  await hers.getByText("Taken back").first().waitFor();
  await settled(hers, "/approvals?whose=mine");
  await until("both requests are in the list", async () => (await hers.getByRole("link", { name: "olga@example.com" }).count()) === 2);
});
