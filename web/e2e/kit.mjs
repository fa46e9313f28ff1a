// A manager makes the sealed kit of a Safe: the file, and shares that are shown
// one after the other, each once. The program opens it without a server; nothing
// of it stays in the page; and the list says when a secret was changed since.
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { accessible, api, check, choose, open, run, settled, shoot, signIn, until, world } from "./lib.mjs";

const hostile = `<img src=x onerror="alert('name')">`;
const { program, dir } = world.more;

/** Everything that a page could find again by itself. */
const left = (page) =>
  page.evaluate(async () => {
    const files = (await indexedDB.databases()).map((d) => d.name);
    return JSON.stringify([document.documentElement.outerHTML, location.href, history.state, { ...localStorage }, { ...sessionStorage }, document.cookie, files, await caches.keys(), [...document.querySelectorAll("input, textarea")].map((e) => e.value)]);
  });

await run(async () => {
  const call = await api();
  const [resource] = await call("GET", "/resources");
  const secret = `kit-${crypto.randomUUID()}`;
  const account = await call("POST", "/accounts", { name: hostile, username: "root", resource_id: resource.id, credential: { kind: "password", value: secret } });
  const other = await call("POST", "/accounts", { name: `left out ${hostile}`, username: "root", resource_id: resource.id, credential: { kind: "ephemeral" } });
  const safe = await call("POST", "/safes", { name: hostile, bindings: [account, other].map((a) => ({ resource_id: resource.id, account_id: a.id })) });

  const page = await open({ permissions: ["clipboard-read", "clipboard-write"] });
  await signIn(page, { path: `/safes/${safe.id}` });
  await page.getByRole("link", { name: "Emergency kit", exact: true }).press("Enter");
  await page.getByText("this Safe lets nobody check one out", { exact: false }).waitFor();
  check((await page.getByRole("button", { name: "Make the kit" }).count()) === 0, "a kit is offered where secrets may not be checked out");
  await call("PATCH", `/safes/${safe.id}`, { checkout: { enabled: true, ttl_seconds: 600 } }, { "Content-Type": "application/merge-patch+json" });
  await settled(page, `/safes/${safe.id}/kit`);
  check((await page.locator("main img").count()) === 0, "a name became an element");

  // What is wrong is said at its field, and nothing is made.
  await page.getByLabel("Shares", { exact: true }).fill("2");
  await page.getByLabel("Needed to open it").fill("2");
  await page.getByText("one that is lost is enough to lose the kit", { exact: false }).waitFor();
  await page.getByRole("button", { name: "Make the kit" }).press("Enter");
  await until("the reason is asked for", async () => (await page.getByLabel("Reason").getAttribute("aria-invalid")) === "true");
  await page.getByLabel("Reason").fill(hostile);
  await page.getByLabel("Shares", { exact: true }).fill("3");
  await page.getByLabel("Needed to open it").fill("4");
  await page.getByRole("button", { name: "Make the kit" }).press("Enter");
  await until("the threshold is refused", async () => (await page.getByLabel("Needed to open it").getAttribute("aria-invalid")) === "true");
  check((await call("GET", "/audit-events?type=BREAK_GLASS_KIT_CREATED")).length === 0, "a kit is on record that was refused");
  await page.getByLabel("Needed to open it").fill("2");
  await accessible(page, "making a kit");
  await shoot(page, "making a kit");
  await page.getByRole("button", { name: "Make the kit" }).press("Enter");

  // First the file.
  await page.getByText("The kit is made, and holds 1 secret.").waitFor();
  await page.getByText(`left out ${hostile}`).waitFor();
  check((await page.locator("main img").count()) === 0, "a name became an element");
  check(await page.getByRole("button", { name: "On to the shares" }).isDisabled(), "the shares come before the file");
  check(!(await left(page)).includes("vpshare1-"), "a share is in the page before it is shown");
  await accessible(page, "the file of a kit");
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save the file" }).press("Enter")]);
  check(/^[a-z0-9-]+-\d{4}-\d\d-\d\d\.kit$/.test(download.suggestedFilename()), `the file is called ${download.suggestedFilename()}`);
  const kit = join(dir, "core.kit");
  await download.saveAs(kit);
  const text = await readFile(kit, "utf8");
  const header = JSON.parse(text.split("\n")[1]);
  check(text.startsWith("vaultpam-kit-1\n") && header.shares === 3 && header.threshold === 2 && header.account_ids.join() === account.id, `the header is ${JSON.stringify(header)}`);
  check(!text.includes(secret), "the secret stands in the file");

  // Then each share, to the person who sits there. The language may change
  // between them.
  await page.getByRole("button", { name: "On to the shares" }).press("Enter");
  const shares = [];
  for (const n of [1, 2, 3]) {
    const step = page.getByRole("group", { name: `Share ${n} of 3`, exact: true });
    await step.waitFor();
    await until("the step has the focus", () => step.evaluate((e) => e === document.activeElement), 5000);
    const before = await left(page);
    check(!before.includes("vpshare1-"), `share ${n - 1} is still there when share ${n} comes`);
    if (n === 1) await accessible(page, "before a share");
    await page.getByRole("button", { name: `Show share ${n}`, exact: true }).press("Enter");
    const shown = step.getByLabel(`Share ${n} of 3`, { exact: true });
    await until("a share is shown", async () => (await shown.innerText()).startsWith("vpshare1-"));
    check((await page.content()).split("vpshare1-").length === 2, "more than one share is in the page");
    shares.push((await shown.innerText()).trim());
    if (n === 1) {
      await accessible(page, "a share");
      for (const width of [390, 1280]) {
        await page.setViewportSize({ width, height: 800 });
        const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        check(beyond <= 1, `a share is ${beyond} pixels too wide for ${width}`);
      }
    }
    if (n === 2) {
      await step.getByRole("button", { name: "Copy" }).press("Enter");
      await until("the share is copied", async () => (await page.evaluate(() => navigator.clipboard.readText())) === shares[1]);
      // Who goes away by mistake is asked, and stays.
      await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Resources" }).press("Enter");
      const dialog = page.getByRole("dialog");
      await dialog.getByText("2 shares were not handed out, and are lost then.", { exact: false }).waitFor();
      await accessible(page, "leaving a kit");
      await page.keyboard.press("Escape");
      await until("the question is gone", async () => !(await dialog.isVisible()));
      check((await shown.innerText()).trim() === shares[1], "the share is gone after staying");
      await choose(page, "language", "pl");
      await page.getByRole("button", { name: "Mam go: ukryj" }).waitFor();
      await choose(page, "language", "en");
    }
    await page.getByRole("button", { name: "I have it: hide it" }).press("Enter");
    if (n === 2) await until("the copied share has left the clipboard", async () => (await page.evaluate(() => navigator.clipboard.readText())) === "");
  }
  await page.getByText("Nothing of it is left in this page or on the server.").waitFor();
  const name = download.suggestedFilename();
  await page.getByText(`vaultpam break-glass open ${name}`).waitFor();
  await accessible(page, "a kit that was handed out");
  await shoot(page, "a kit that was handed out");
  check(new Set(shares).size === 3, "a share came twice");
  check(!(await left(page)).includes("vpshare1-"), "a share stays in the page");
  await page.getByRole("link", { name: "Back to the Safe" }).press("Enter");
  await page.getByRole("heading", { name: hostile, level: 1 }).waitFor();
  await page.goBack();
  await page.getByRole("button", { name: "Make the kit" }).waitFor();
  const again = await left(page);
  for (const s of [...shares, secret, text.split("\n")[2]]) check(!again.includes(s), "the way back leads to what was handed out");

  // The machine without the server: two of three open it, in any order.
  const env = { HOME: dir, XDG_CONFIG_HOME: dir, PATH: "/usr/bin:/bin" };
  const opens = async (...which) => {
    const files = await Promise.all(which.map(async (i) => {
      const file = join(dir, `share-${i}.txt`);
      await writeFile(file, shares[i]);
      return ["--share-file", file];
    }));
    const opening = promisify(execFile)(program, ["break-glass", "open", kit, "-o", "json", ...files.flat()], { env });
    opening.child.stdin.end(); // nobody types the shares that are missing
    return opening;
  };
  for (const pair of [[0, 1], [2, 0], [1, 2]]) {
    const { stdout } = await opens(...pair);
    const inside = JSON.parse(stdout);
    check(inside.length === 1 && inside[0].value === secret && inside[0].account === hostile, `the shares ${pair} open ${inside.length} secrets`);
  }
  check(await opens(1).then(() => false, (e) => e.stderr.includes("fewer shares")), "one share alone opens the kit");

  // What is on record, and what has become of it.
  await settled(page, "/kits");
  const row = page.getByRole("row").filter({ hasText: "2 of 3" });
  await row.getByText("Nothing has changed").waitFor();
  check((await page.locator("main img").count()) === 0, "a name became an element");
  await accessible(page, "kits");
  await shoot(page, "kits");
  await call("PUT", `/accounts/${account.id}/credential`, { kind: "password", value: "another-one" });
  await page.reload();
  await row.getByText("1 secret out of date").waitFor();
  await row.getByRole("link", { name: hostile }).press("Enter");
  await page.getByText("Version 1 in the kit, 2 now").waitFor();
  await page.getByText("changed since", { exact: true }).waitFor();
  await page.getByText(header.kit_id).waitFor();
  check((await page.locator("main img").count()) === 0, "a name became an element");
  await accessible(page, "one kit");
  await shoot(page, "one kit");
  await page.setViewportSize({ width: 390, height: 844 });
  for (const path of ["/kits", new URL(page.url()).pathname, `/safes/${safe.id}/kit`]) {
    await settled(page, path);
    const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    check(beyond <= 1, `${path} on a phone is ${beyond} pixels too wide`);
  }
  await page.setViewportSize({ width: 1280, height: 800 });

  // A Safe of one account that nobody keeps a secret of, and an organization
  // in which nobody takes all secrets alone.
  const empty = await call("POST", "/safes", { name: "Nothing stored", checkout: { enabled: true, ttl_seconds: 600 }, bindings: [{ resource_id: resource.id, account_id: other.id }] });
  await settled(page, `/safes/${empty.id}/kit`);
  await page.getByLabel("Reason").fill("to try");
  await page.getByRole("button", { name: "Make the kit" }).press("Enter");
  await page.getByText("The Safe holds no stored secret.").waitFor();
  await call("PATCH", "/org", { dual_control: true });
  await settled(page, `/safes/${safe.id}/kit`);
  await page.getByText("so no kit is made", { exact: false }).waitFor();
  check((await page.getByRole("button", { name: "Make the kit" }).count()) === 0, "a kit is offered under dual control");
});
