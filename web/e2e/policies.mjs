// A policy from a template: made, previewed, activated, tried, and changed
// while somebody else changes it; and the way of a weakening to its
// confirmation.
import { api, check, open, run, settled, signIn, until } from "./lib.mjs";

await run(async () => {
  const call = await api();
  const [safe] = await call("GET", "/safes?q=Demo");
  // Something that a preview can look at.
  await call("PATCH", `/safes/${safe.id}`, { checkout: { enabled: true, ttl_seconds: 600 } });
  await call("POST", "/checkouts", { safe_id: safe.id });

  const page = await open();
  await signIn(page, { path: "/policies" });
  await page.getByText("No policies yet").waitFor();
  await page.getByRole("link", { name: "Create a policy" }).first().click();
  await page.getByLabel("Begin with").selectOption({ label: "Not on weekends" });
  check((await page.getByLabel("Name", { exact: true }).inputValue()) === "Not on weekends", "the template gives its name");
  await page.getByLabel("Name", { exact: true }).fill("Closed");
  // What is wrong is said where it is, and nothing is made.
  await page.getByLabel("Client addresses").fill("10.0.0.1/8");
  await page.getByRole("button", { name: "Create as a draft" }).click();
  await page.getByText("Enter addresses or CIDR ranges").waitFor();
  await page.getByLabel("Client addresses").fill("127.0.0.1\n::1");
  await page.getByLabel("Only in certain hours").uncheck();
  await page.getByLabel(safe.name, { exact: true }).check();
  await page.getByRole("button", { name: "Create as a draft" }).click();
  await page.getByRole("heading", { name: "Closed", level: 1 }).waitFor();
  await page.getByText("Draft", { exact: true }).waitFor();
  await page.getByRole("link", { name: safe.name }).waitFor();
  const [made] = await call("GET", "/policies");
  check(made.action === "deny" && made.status === "draft" && !made.conditions.time_window && made.conditions.source_ips.length === 2 && made.safe_ids[0] === safe.id, JSON.stringify(made));

  await page.getByRole("button", { name: "Preview" }).click();
  await page.getByRole("cell", { name: "owner@example.com" }).waitFor();
  await page.getByRole("cell", { name: "Denied" }).waitFor();

  await page.getByRole("button", { name: "Activate" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Activate" }).click();
  await page.getByText("Active", { exact: true }).waitFor();

  // What would happen is what does.
  await settled(page, "/policies/try");
  await page.getByLabel("Safe", { exact: true }).selectOption({ label: safe.name });
  await page.getByRole("button", { name: "Ask" }).click();
  await page.getByText("The policy “Closed” refuses this.").waitFor();
  await page.getByLabel("Client address").fill("203.0.113.7");
  await page.getByRole("button", { name: "Ask" }).click();
  await page.getByText("Allowed", { exact: true }).first().waitFor();
  await page.getByText("The client's address is in none of its ranges.").waitFor();
  await page.getByLabel("Client address").fill("over there");
  await page.getByRole("button", { name: "Ask" }).click();
  await page.getByText("This is not an IP address.").waitFor();

  // Two change the same: nothing is lost, and the second decides.
  await settled(page, `/policies/${made.id}/edit`);
  await page.getByText("This policy is active").waitFor();
  await call("PATCH", `/policies/${made.id}`, { description: "by somebody else" });
  await page.getByLabel("Name", { exact: true }).fill("Shut");
  await page.getByLabel("Action").selectOption({ label: "Require approval" });
  await page.getByLabel("Approval of").selectOption({ label: "Two different people" });
  await page.getByRole("button", { name: "Preview" }).click();
  await page.getByText("Safes that this would weaken: 1.").waitFor();
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Somebody changed this meanwhile").waitFor();
  await page.getByRole("button", { name: "Keep my changes" }).click();
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("heading", { name: "Shut", level: 1 }).waitFor();
  await until("the change is there", async () => {
    const p = await call("GET", `/policies/${made.id}`);
    return p.action === "require_approval" && p.jit.approvers === 2 && p.description === "by somebody else" && p.conditions.source_ips.length === 2;
  });

  // With two for a risky act, a weakening waits, and says where.
  await call("PATCH", "/org", { dual_control: true });
  await settled(page, `/policies/${made.id}`);
  await page.getByRole("button", { name: "Disable" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Disable" }).click();
  await page.getByText("a manager of each has to confirm first").waitFor();
  await page.getByRole("link", { name: "See the confirmation" }).click();
  await page.getByRole("link", { name: "The policy" }).click();
  await page.getByRole("heading", { name: "Shut", level: 1 }).waitFor();
  await page.getByText("Active", { exact: true }).waitFor();
  console.log("made, previewed, activated, tried, changed, and waiting");
});
