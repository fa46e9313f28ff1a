// An operator without a mouse: signs in, finds a Safe by typing, launches,
// works, ends, and changes the language, never losing sight of the focus.
import { check, open, prompt, run, shown, until, world } from "./lib.mjs";

await run(async () => {
  const page = await open();
  await page.goto("/safes");
  await page.getByLabel("E-mail").waitFor();
  check(await page.evaluate(() => document.activeElement?.getAttribute("autocomplete") === "username"), "the focus is not on the e-mail address at first");
  await page.keyboard.type(world.email);
  await page.keyboard.press("Tab");
  await page.keyboard.type(world.password);
  await page.keyboard.press("Enter");
  await page.getByRole("navigation", { name: "Pages" }).waitFor();

  // The first stop leads past the sidebar.
  await page.keyboard.press("Tab");
  const skip = await page.evaluate(() => document.activeElement?.textContent);
  check(skip === "Skip to the content", `the first stop is "${skip}"`);
  await page.keyboard.press("Enter");
  check(await page.evaluate(() => document.activeElement?.closest("main") !== null), "skipping does not lead to the content");

  // Each stop can be seen.
  for (let i = 0; i < 30; i++) {
    await page.keyboard.press("Tab");
    const stop = await page.evaluate(() => {
      const e = document.activeElement;
      if (!e || e === document.body) return null;
      const s = getComputedStyle(e);
      const r = e.getBoundingClientRect();
      return { name: e.getAttribute("aria-label") ?? e.textContent?.slice(0, 40), seen: (s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0) || s.boxShadow !== "none", inside: r.width > 0 && r.height > 0 };
    });
    if (stop) check(stop.seen && stop.inside, `the focus on "${stop.name}" cannot be seen`);
  }

  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: "Go to…" }).waitFor();
  await page.keyboard.type("demo");
  await page.getByRole("option", { name: /Demo.*Safe/ }).waitFor();
  for (let i = 0; i < 8 && !(await page.getByRole("option", { name: /Demo.*Safe/, selected: true }).count()); i++) await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Demo", level: 1 }).waitFor();

  await focus(page, "Launch");
  await page.keyboard.press("Enter");
  await prompt(page);
  await page.keyboard.type("echo by $((6*7)) keys\n");
  await until("the output", async () => (await shown(page).innerText()).includes("by 42 keys"));
  // Tab belongs to the shell; there is another way out, and back.
  await page.keyboard.press("Tab");
  check(await page.evaluate(() => document.activeElement?.closest(".xterm") !== null), "Tab left the terminal");
  await page.keyboard.press("Control+F6");
  check((await page.evaluate(() => document.activeElement?.textContent)) === "End", "Ctrl+F6 does not leave the terminal");
  await page.keyboard.press("Tab");
  check(await page.evaluate(() => document.activeElement?.closest(".xterm") !== null), "Tab does not lead back into the terminal");
  await page.keyboard.type("exit\n");
  await page.getByText("The session is over").waitFor();
  await focus(page, "To the recording");
  await page.keyboard.press("Enter");
  await page.getByText(/Verified to its end/).waitFor();
});

/** Goes on by Tab until what has this name has the focus. */
async function focus(page, name) {
  for (let i = 0; i < 80; i++) {
    if ((await page.evaluate(() => document.activeElement?.textContent?.trim())) === name) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`"${name}" cannot be reached by Tab`);
}
