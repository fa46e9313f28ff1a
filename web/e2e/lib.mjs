// What every scenario needs: a browser whose pages fail the scenario for
// whatever a person would call broken, and a few words of the console.
// A scenario is a program: it gets its world as JSON in E2E, prints what it
// looked at, and ends with 0 or says why not.
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

export const world = JSON.parse(process.env.E2E ?? "{}"); // {base, email, password, shots, chromium, …}

const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

let browser;
const problems = [];

// Our own server, by either of its names, and the provider that a person is sent to.
const ours = (url) => [world.base, world.base.replace("127.0.0.1", "localhost"), world.idp?.issuer, world.saml?.metadata_url].some((u) => u && new URL(u).host === new URL(url).host);

/** Opens a window of its own. What its pages complain of is a problem. */
export async function open(options = {}) {
  browser ??= await chromium.launch({ executablePath: world.chromium, args: flags });
  const context = await browser.newContext({ baseURL: world.base, viewport: { width: 1280, height: 800 }, locale: "en", reducedMotion: "reduce", ...options });
  context.setDefaultTimeout(20_000);
  context.on("page", (page) => {
    // Nothing is asked of anybody but our own server.
    page.on("request", (r) => {
      if (!/^(data|blob|about):/.test(r.url()) && !ours(r.url())) problems.push(`${page.url()} asks for ${r.url()}`);
    });
    page.on("pageerror", (e) => problems.push(`${page.url()}: ${e.stack ?? e.message}`));
    page.on("console", (m) => {
      // Refusals of the API are part of what is tried; the browser notes each.
      if (m.type() === "error" && !m.text().startsWith("Failed to load resource")) problems.push(`${page.url()}: ${m.text()}`);
    });
    page.on("dialog", (d) => {
      problems.push(`${page.url()}: a dialog says ${d.message()}`);
      void d.dismiss();
    });
  });
  return await context.newPage();
}

export async function signIn(page, { path = "/safes", email = world.email, password = world.password } = {}) {
  await page.goto(path);
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByRole("navigation", { name: "Pages" }).waitFor();
}

/** The API beside the browser, as the owner of dev mode or somebody else. */
export async function api(email = world.email, password = world.password) {
  const call = async (method, path, body, headers = {}) => {
    const r = await fetch(`${world.base}/api/v1${path}`, { method, headers: { "Content-Type": "application/json", ...headers }, body: body && JSON.stringify(body) });
    const text = await r.text();
    if (!r.ok) throw new Error(`${method} ${path}: ${r.status} ${text}`);
    return text && JSON.parse(text);
  };
  const { access_token } = await call("POST", "/auth/login", { email, password });
  return (method, path, body, headers) => call(method, path, body, { Authorization: `Bearer ${access_token}`, ...headers });
}

/** The link in the last letter to somebody, which a server in dev mode prints. */
export async function letter(to) {
  let link;
  await until(`${to} has a letter`, async () => {
    const letters = (await (await fetch(world.printed)).text()).split("\nA letter to ").filter((l) => l.startsWith(`${to}: `));
    link = letters.at(-1)?.match(/https?:\/\/\S+/)?.[0];
    return link !== undefined;
  });
  return new URL(link).pathname + new URL(link).hash;
}

/** The text that a terminal shows. */
export const shown = (page) => page.locator(".xterm-rows").first();

/** Goes to a page and waits until everything that it asks for has come. */
export async function settled(page, path) {
  let open = 0;
  const more = () => open++;
  const less = () => open--;
  page.on("request", more).on("requestfinished", less).on("requestfailed", less);
  await page.goto(path);
  await page.locator("main").first().waitFor();
  for (let quiet = 0; quiet < 3; quiet = open > 0 || (await page.locator("[aria-busy=true]").count()) > 0 ? 0 : quiet + 1) await page.waitForTimeout(20);
  page.off("request", more).off("requestfinished", less).off("requestfailed", less);
}

/** Waits until a terminal is connected and its shell waits for a command. */
export async function prompt(page) {
  await page.getByText("Connected").waitFor();
  await until("the shell asks", async () => /[$#]\s*$/.test((await shown(page).innerText()).trimEnd()));
}

export function check(ok, problem) {
  if (!ok) problems.push(problem);
}

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Chooses a theme or a language, as another window would: no page is loaded
 * anew. */
export async function choose(page, key, value) {
  await page.evaluate(
    ([key, newValue]) => {
      localStorage.setItem(key, newValue);
      dispatchEvent(new StorageEvent("storage", { key, newValue }));
    },
    [key, value],
  );
}

/** Scans what is shown in three themes; each violation is a problem. */
export async function accessible(page, name) {
  await page.evaluate(axe);
  for (const theme of ["contrast", "dark", "light"]) {
    await choose(page, "theme", theme);
    await page.evaluate(() => {
      for (const a of document.getAnimations()) if (a.effect?.getComputedTiming().endTime !== Infinity) a.finish(); // a colour on its way has another contrast
    });
    const { violations } = await page.evaluate((colours) => window.axe.run(document, { resultTypes: ["violations"], ...(colours && { runOnly: ["color-contrast", "link-in-text-block"] }) }), theme !== "light"); // what is not a colour is the same in all
    for (const v of violations) {
      check(false, `${theme} ${name}: ${v.impact}: ${v.id}: ${v.help}\n${v.nodes.slice(0, 3).map((n) => `    ${n.html.slice(0, 200)}\n    ${n.failureSummary?.replaceAll("\n", " ")}`).join("\n")}`);
    }
    if (world.keep) await shoot(page, `${name} ${theme}`);
  }
}

/** Keeps a picture of a page. */
export async function shoot(page, name) {
  mkdirSync(world.shots, { recursive: true });
  await page.screenshot({ path: join(world.shots, `${name.replaceAll(/\W+/g, "-")}.png`) });
}

/** Waits until ok(), and says what it waited for when that does not come. */
export async function until(what, ok, within = 20_000) {
  for (const end = Date.now() + within; ; ) {
    if (await ok()) return;
    if (Date.now() > end) throw new Error(`not within ${within / 1000} s: ${what}`);
    await new Promise((r) => setTimeout(r, 50));
  }
}

/** Runs a scenario to its end. */
export async function run(scenario) {
  try {
    await scenario();
  } catch (e) {
    problems.push(e.stack ?? String(e));
  }
  if (problems.length > 0 && browser) {
    mkdirSync(world.shots, { recursive: true });
    for (const [i, page] of browser.contexts().flatMap((c) => c.pages()).entries()) {
      await page.screenshot({ path: join(world.shots, `${i}.png`) }).catch(() => {});
    }
  }
  await browser?.close();
  for (const p of problems) console.error(p);
  process.exit(problems.length > 0 ? 1 : 0);
}
