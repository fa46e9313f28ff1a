// An admin who keeps order: deep links, filters in the address, two editors at
// once, deletion by name, live sessions that end on the screen of their user,
// and a login that is ended elsewhere.
import { api, check, open, prompt, run, shown, signIn, until, world } from "./lib.mjs";

await run(async () => {
  const call = await api();
  for (let i = 0; i < 30; i++) await call("POST", "/safes", { name: `Web ${String(i).padStart(2, "0")}` });

  // A deep link survives sign-in, with its filter.
  const page = await open();
  await signIn(page, { path: "/safes?q=web&sort=-name" });
  check(page.url().endsWith("/safes?q=web&sort=-name"), `after sign-in: ${page.url()}`);
  const first = page.locator("tbody tr").first();
  await first.getByText("Web 29").waitFor();
  await page.getByRole("searchbox").fill("Web 07");
  await first.getByText("Web 07").waitFor();
  check(page.url().includes("q=Web+07"), `the filter is not in the address: ${page.url()}`);
  await page.getByRole("searchbox").fill("web");
  await first.getByText("Web 29").waitFor();
  await page.getByRole("searchbox").fill("no such Safe");
  await page.getByText("Nothing matches these filters.").waitFor();

  // Two people edit one Safe: the second sees both versions, and decides.
  const [safe] = await call("GET", "/safes?q=Web%2007");
  await page.goto(`/safes/${safe.id}/edit`);
  await page.getByLabel("Description").fill("mine");
  await call("PATCH", `/safes/${safe.id}`, { description: "theirs" });
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Somebody changed this meanwhile").waitFor();
  await page.getByText("theirs", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Keep my changes" }).click();
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("heading", { name: "Web 07" }).waitFor();
  await until("mine is saved", async () => (await call("GET", `/safes/${safe.id}`)).description === "mine");

  // What is wrong is said at its field.
  await page.goto("/resources/new");
  await page.getByLabel("Name").fill("Broken");
  await page.getByLabel("Host", { exact: true }).fill("not a host");
  await page.getByRole("button", { name: /^Add a resource/ }).click();
  await until("the field says what is wrong", async () => (await page.getByLabel("Host", { exact: true }).getAttribute("aria-invalid")) === "true");

  // Nothing is deleted without its name.
  await page.goto(`/safes/${safe.id}`);
  await page.getByRole("button", { name: "Delete" }).click();
  const dialog = page.getByRole("dialog");
  check(await dialog.getByRole("button", { name: "Delete" }).isDisabled(), "it can be deleted without its name");
  await dialog.getByRole("textbox").fill("Web 08");
  check(await dialog.getByRole("button", { name: "Delete" }).isDisabled(), "it can be deleted by another name");
  await dialog.getByRole("textbox").fill("Web 07");
  await dialog.getByRole("button", { name: "Delete" }).click();
  await page.getByText("“Web 07” was deleted.").waitFor();

  // A session that starts is seen without a reload, and ends where it runs.
  await page.goto("/sessions");
  await page.getByRole("heading", { name: "Sessions" }).waitFor();
  const [demo] = await call("GET", "/safes?q=Demo");
  const terminal = await open();
  await signIn(terminal, { path: `/safes/${demo.id}` });
  await terminal.getByRole("button", { name: "Launch", exact: true }).click();
  await prompt(terminal);
  await terminal.keyboard.type("tty\n");
  const end = page.getByRole("button", { name: /^(End|Terminate)/ }).first();
  await end.waitFor();
  await end.click();
  if (await page.getByRole("dialog").count()) await page.getByRole("dialog").getByRole("button", { name: /^(End|Terminate)/ }).click();
  await terminal.getByText("The session is over").waitFor();

  // Where a Safe leads to several targets, the terminal asks which.
  const [binding] = demo.bindings;
  const second = await call("POST", "/accounts", { name: "Second", username: "second", resource_id: binding.resource_id });
  const two = await call("POST", "/safes", { name: "Two ways", bindings: [binding, { resource_id: binding.resource_id, account_id: second.id }] });
  const asking = await open();
  await signIn(asking, { path: `/safes/${two.id}` });
  await asking.getByRole("button", { name: "Launch", exact: true }).click();
  await asking.getByRole("button", { name: /^demo at / }).click();
  await prompt(asking);
  await asking.close();

  // Ten megabytes each second neither freeze the page nor pile up.
  await terminal.getByRole("button", { name: "Launch again" }).click();
  await prompt(terminal);
  await terminal.evaluate(() => {
    window.longest = 0;
    let last = performance.now();
    setInterval(() => {
      const now = performance.now();
      window.longest = Math.max(window.longest, now - last - 20);
      last = now;
    }, 20);
  });
  const began = Date.now();
  await terminal.keyboard.type("head -c 40000000 /dev/zero | tr '\\0' x | fold -w 79; echo; echo all of it $((6*7))\n");
  await until("forty megabytes came", async () => (await shown(terminal).innerText()).includes("all of it 42"), 90_000);
  const took = (Date.now() - began) / 1000;
  const longest = await terminal.evaluate(() => window.longest);
  console.log(`40 MB in ${took.toFixed(1)} s, ${(40 / took).toFixed(1)} MB/s; the page stood still for ${longest.toFixed(0)} ms at most`);
  check(longest < 5000, `the page stood still for ${longest} ms`);

  // Somebody ends this login elsewhere: the page, which follows its list, notices.
  for (const l of await call("GET", "/me/logins")) if (!l.current) await call("DELETE", `/me/logins/${l.id}`);
  await terminal.getByText("The session is over").waitFor();
  await until("all of it is on record", async () => (await call("GET", "/sessions?limit=5")).some((x) => x.bytes_out > 40_000_000));
  await page.getByRole("button", { name: "Sign in", exact: true }).waitFor();
  check(page.url().includes("/sessions"), `where it was is lost: ${page.url()}`);
  await page.getByLabel("E-mail").fill(world.email);
  await page.getByLabel("Password").fill(world.password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByRole("heading", { name: "Sessions" }).waitFor();
});
