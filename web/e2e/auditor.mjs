// An auditor looks for one moment: narrows the sessions down, replays one,
// finds the line, takes the file along, follows it into the log, proves the
// event and the whole log, and exports it; and can launch nothing.
import { readFileSync } from "node:fs";
import { api, check, open, prompt, run, signIn, until } from "./lib.mjs";

await run(async () => {
  // What went before: somebody works in two Safes, somebody else is refused.
  const call = await api();
  const [demo] = await call("GET", "/safes?q=Demo");
  const password = "a-password-of-their-own";
  const people = {};
  for (const [name, role] of [["olga", "operator"], ["bob", "operator"], ["ada", "auditor"]]) {
    people[name] = await call("POST", "/org/members", { email: `${name}@example.com`, role, password, must_change_password: false });
  }
  const other = await call("POST", "/safes", { name: "Payments", bindings: demo.bindings });
  for (const safe of [demo, other]) await call("POST", `/safes/${safe.id}/members`, { user_id: people.olga.user_id, role: "operator" });
  const olga = await open();
  await signIn(olga, { email: "olga@example.com", password });
  for (const [safe, line] of [[demo, "echo nothing to see"], [other, "for i in 1 2 3; do echo step $i; sleep 0.4; done; echo moved 4711 euros"]]) {
    await olga.goto(`/terminal?safe=${safe.id}`);
    await prompt(olga);
    await olga.keyboard.type(`${line}; exit\n`);
    await olga.getByText("The session is over").waitFor();
  }
  await olga.context().close();
  const bob = await api("bob@example.com", password);
  await bob("POST", "/sessions", { safe_id: demo.id }).then(() => check(false, "bob was let in"), () => {});
  await until("both are sealed", async () => (await call("GET", "/recordings?status=completed")).length === 2);

  const page = await open({ acceptDownloads: true });
  await signIn(page, { path: "/sessions", email: "ada@example.com", password });
  await page.getByRole("heading", { name: "Sessions", level: 1 }).waitFor();
  const rows = page.locator("tbody tr");
  await until("both sessions are listed", async () => (await rows.count()) === 2);

  // The filters narrow the list, stand in the address, and can be taken back.
  const today = new Date().toISOString().slice(0, 10);
  const option = async (label, name) => {
    const box = page.getByRole("combobox", { name: label, exact: true });
    await until(`${label} offers ${name}`, async () => (await box.locator("option", { hasText: name }).count()) > 0);
    await box.selectOption({ label: name });
  };
  await option("User", "olga@example.com");
  await option("Safe", "Payments");
  await option("Status", "Ended");
  await option("Resource", "Demo target");
  await page.getByLabel("From", { exact: true }).fill(today);
  await page.getByLabel("To", { exact: true }).fill(today);
  await until("one session is left", async () => (await rows.count()) === 1 && (await rows.first().innerText()).includes("Payments"));
  const at = new URL(page.url()).searchParams;
  for (const name of ["user_id", "safe_id", "status", "resource_id", "from", "to"]) check(at.has(name), `the filter ${name} is not in the address: ${page.url()}`);
  await page.reload();
  await until("it is still the one", async () => (await rows.count()) === 1 && (await rows.first().innerText()).includes("Payments"));
  await option("User", "bob@example.com");
  await page.getByText("Nothing matches these filters.").waitFor();
  check((await page.getByRole("button", { name: /^(Launch|Terminate)/ }).count()) === 0, "an auditor may end or launch something");

  // The recording: verified here, the line found in the transcript, the screen
  // taken to that moment, the file taken along.
  await page.goto(`/recordings?safe_id=${other.id}`);
  await rows.first().getByRole("link", { name: "Payments" }).click();
  await page.getByText(/Verified to its end/).waitFor();
  await page.getByLabel("Speed").selectOption("8");
  await page.getByRole("searchbox").fill("moved 4711");
  await page.getByRole("button", { name: /moved 4711 euros$/ }).last().click();
  await until("the screen shows the moment", async () => /^moved 4711 euros/m.test(await page.locator(".ap-term").innerText()));
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download" }).click()]);
  const cast = readFileSync(await file.path(), "utf8").trimEnd().split("\n").map((l) => JSON.parse(l));
  check(cast[0].version === 2 && cast.slice(1).some(([, kind, text]) => kind === "o" && text.includes("moved 4711 euros")), `the file ${file.suggestedFilename()} is not the recording`);

  // The log: by what is typed, down to the refusal, proved by the page.
  await page.goto("/audit");
  const query = page.getByRole("combobox", { name: "Filter the events" });
  await query.fill("type:SESSION_REFUSED");
  await query.press("Enter");
  await until("the refusal is the only event", async () => (await rows.count()) === 1 && (await rows.first().innerText()).includes("bob@example.com"));
  await rows.first().getByRole("link").first().click();
  await page.getByRole("link", { name: "SESSION_REFUSED" }).waitFor();
  await page.getByRole("button", { name: "Verify" }).click();
  await page.getByText("The event is in that log").waitFor();
  await until("the event is proved", async () => (await page.getByRole("img", { name: "Holds", exact: true }).count()) >= 3);
  check((await page.getByRole("img", { name: "Does not hold" }).count()) === 0, "the event does not hold");

  await page.goto("/audit/verify");
  await page.getByRole("button", { name: "Verify" }).click();
  await until("the log is proved", async () => (await page.getByRole("img", { name: "Holds", exact: true }).count()) >= 4);

  await page.goto("/audit");
  await page.getByRole("button", { name: "Export" }).click();
  const dialog = page.getByRole("dialog");
  const [log] = await Promise.all([page.waitForEvent("download"), dialog.getByRole("button", { name: "Export" }).click()]);
  await dialog.getByText(/^Saved: /).waitFor();
  const lines = readFileSync(await log.path(), "utf8").trimEnd().split("\n").map((l) => JSON.parse(l));
  check(lines.some((e) => e.type === "SESSION_REFUSED") && lines.at(-1).checkpoint !== undefined, `the export ${log.suggestedFilename()} is not the log with its checkpoint`);
});
