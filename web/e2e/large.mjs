// A session of fifty megabytes: its recording is fetched, checked, opened and
// scrubbed through, and the page answers all the while.
import { api, check, open, prompt, run, shown, signIn, until } from "./lib.mjs";

const lines = 620_000;

/** From now on the page knows for how long it stood still at most. */
const watch = () => {
  let last = performance.now();
  window.longest = 0;
  setInterval(() => {
    const now = performance.now();
    window.longest = Math.max(window.longest, now - last - 20);
    last = now;
  }, 20);
};
const longest = (page) =>
  page.evaluate(() => {
    const ms = window.longest;
    window.longest = 0;
    return Math.round(ms);
  });

await run(async () => {
  const call = await api();
  const [demo] = await call("GET", "/safes?q=Demo");
  const page = await open();
  await page.addInitScript(watch);
  await signIn(page);
  await page.goto(`/terminal?safe=${demo.id}`);
  await prompt(page);
  await page.keyboard.type(`seq -f 'line %012.0f of a long session, as wide as a terminal is by default .' ${lines}; exit\n`);
  await page.getByText("The session is over").waitFor({ timeout: 90_000 });
  check((await shown(page).innerText()).includes(`line ${String(lines).padStart(12, "0")}`), "the last line is not on the screen");

  const began = Date.now();
  await page.getByRole("link", { name: "To the recording" }).click();
  await page.getByText(/Verified to its end/).waitFor({ timeout: 60_000 });
  await page.getByText(/^620,00\d lines$/).waitFor();
  const took = (Date.now() - began) / 1000;
  const loading = await longest(page);
  const [recording] = await call("GET", "/recordings?limit=1");

  // By the time line, and by a line of the transcript that is searched for.
  const bar = page.locator(".ap-control-bar .ap-progressbar");
  const { x, y, width } = await bar.boundingBox();
  const at = async () => ((await page.locator(".ap-gutter-full").evaluate((e) => e.getBoundingClientRect().right)) - x) / width;
  for (const part of [0.9, 0.2, 0.97, 0.5, 0.8, 0.1]) {
    await page.mouse.click(x + width * part, y + 4);
    await until(`the time line stands at ${part}`, async () => Math.abs((await at()) - part) < 0.1);
  }
  const scrubbing = await longest(page);
  await page.getByRole("searchbox").fill("line 000000400000");
  await page.getByText("1 line", { exact: true }).first().waitFor();
  await page.getByRole("button", { name: /line 000000400000/ }).click();
  await until("the screen shows what is searched for", async () => /line 000000(39|40)\d{4} /.test(await page.locator(".ap-term").innerText()));
  const searching = await longest(page);
  // A quarter of a second on a machine of one's own; the bound is for a busy one.
  for (const [what, ms] of Object.entries({ loading, scrubbing, searching })) check(ms < 5000, `${what} it, the page stood still for ${ms} ms`);
  console.log(`${(recording.size_bytes / 1e6).toFixed(1)} MB kept; checked and ready after ${took.toFixed(1)} s; stood still for ${loading} ms while loading, ${scrubbing} ms while scrubbing, ${searching} ms while searching`);
});
