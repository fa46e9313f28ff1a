// Somebody who may name things, and a target that may print what it likes, try
// to run code in the console, to be taken for something else, or to break the
// layout. What they made is looked at wherever it is shown.
import { api, check, open, prompt, run, settled, shown, signIn, until } from "./lib.mjs";

const names = [
  `<img src=x onerror="alert('name')"><script>alert('name')</script>`,
  `"><svg onload=alert(1)> {{constructor.constructor('alert(1)')()}} javascript:alert(1)`,
  "Payroll\u202Egnp.exe\u202C \u2066reversed\u2069",
  "a\u200Bb\u200Dc zero width",
  "W".repeat(256),
  "ﷺ".repeat(60),
  "Z̷̢̛͔̈a̷͙͠l̵̝̑g̶̺̈o̸̙͝".repeat(4),
];

await run(async () => {
  const call = await api();
  const [{ bindings }] = await call("GET", "/safes?q=Demo");
  const made = [];
  for (const name of names) {
    made.push(await call("POST", "/safes", { name, description: name.repeat(3).slice(0, 1000), bindings }).catch(() => null));
    await call("POST", "/resources", { name, type: "ssh", host: "127.0.0.1", port: 22 }).catch(() => null);
    await call("POST", "/personal-access-tokens", { name: name.slice(0, 100), scopes: ["safes:read"], expires_in_days: 1 }).catch(() => null);
  }
  const safes = made.filter(Boolean);
  console.log(`${safes.length} of ${names.length} names were taken`);
  check(safes.length >= 3, `only ${safes.length} of the names were taken at all`);

  const page = await open();
  await signIn(page);
  for (const width of [1280, 390]) {
    await page.setViewportSize({ width, height: 800 });
    for (const path of ["/", "/safes", "/resources", "/audit", "/profile/tokens", "/start", ...safes.map((s) => `/safes/${s.id}`), ...safes.slice(0, 2).map((s) => `/safes/${s.id}/edit`), `/safes?q=${encodeURIComponent(names[0])}`]) {
      await settled(page, path);
      const found = await page.evaluate(() => ({
        foreign: [...document.querySelectorAll("main script, main img, main svg[onload], main [onerror]")].filter((e) => !e.closest("[aria-hidden]") && !e.matches("img[src^='/']")).map((e) => e.outerHTML.slice(0, 100)),
        beyond: document.documentElement.scrollWidth - innerWidth,
        wide: [...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 3).map((e) => `${e.tagName}.${e.className}`),
        hung: [...document.querySelectorAll("a[href]")].map((a) => a.getAttribute("href")).filter((h) => /^\s*(javascript|data):/i.test(h)),
      }));
      check(found.foreign.length === 0, `${path}: a name became an element: ${found.foreign}`);
      check(found.hung.length === 0, `${path}: a name became a link: ${found.hung}`);
      check(found.beyond <= 1, `${path} at ${width}: the page is ${found.beyond} pixels too wide: ${found.wide}`);
    }
  }
  // A mark that turns the direction stays inside of its name.
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.goto("/safes");
  const isolated = await page.locator("tbody a").first().evaluate((e) => getComputedStyle(e.closest(".name") ?? e).unicodeBidi);
  check(/isolate|plaintext/.test(isolated), `a name is not isolated: unicode-bidi is ${isolated}`);

  // The palette and a deletion name it, too.
  await page.goto(`/safes/${safes[0].id}`);
  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");

  // A name of 64 KB is refused, and the form says so at its field.
  const long = "n".repeat(65_536);
  await page.goto("/safes/new");
  await page.getByLabel("Name").fill(long);
  await page.getByRole("button", { name: "Create a Safe" }).click();
  await until("the field refuses it", async () => (await page.getByLabel("Name").getAttribute("aria-invalid")) === "true");
  check((await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 1, "what refuses a long name is wider than the page");
  await page.goto(`/safes?q=${long.slice(0, 8000)}`);
  await page.getByRole("heading", { name: "Safes", level: 1 }).waitFor();

  // A target that writes whatever it likes.
  const [demo] = await call("GET", "/safes?q=Demo");
  await page.goto(`/terminal?safe=${demo.id}`);
  await prompt(page);
  const title = await page.title();
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.evaluate(() => navigator.clipboard.writeText("what was there before"));
  const type = async (line) => {
    await page.keyboard.press("Control+u"); // what the terminal itself has answered
    await page.keyboard.insertText(line);
    await page.keyboard.press("Enter");
  };
  const say = (what) => type(`printf '${what}'`);
  await say("\\033]0;Sign in again\\007\\033]52;c;ZXZpbA==\\007"); // title, clipboard
  await say("\\033]8;;javascript:alert(1)\\007click\\033]8;;\\007 \\033]8;;https://evil.example\\007me\\033]8;;\\007\\n"); // links
  await say("<img src=x onerror=alert(1)>\\n");
  await say("\\033P+q544e\\033\\\\\\033[c\\033[5n\\033[21t\\n"); // asks for answers, which would be typed
  await type("printf '\\033]0;'; head -c 65536 /dev/zero | tr '\\0' T; printf '\\007'; head -c 65536 /dev/zero | tr '\\0' L; echo"); // a title and a line of 64 KB
  await say("\\033[?1049h\\033[2J\\033[Hpassword: ");
  await say("\\033[?1049l");
  await type("echo done $((6*7))");
  await until("the terminal goes on", async () => (await shown(page).innerText()).includes("done 42"));
  check((await page.title()) === title, `the target set the title to "${await page.title()}"`);
  check((await page.evaluate(() => navigator.clipboard.readText())) === "what was there before", "the target wrote the clipboard");
  const links = await page.locator(".xterm a").count();
  check(links === 0, `${links} links in the terminal`);
  // The terminal has said what kind it is, as every terminal does, and nothing
  // that the target chose.
  check(!/echo|Sign in|evil/.test((await shown(page).innerText()).trimEnd().split("\n").at(-1)), "the target typed a text of its own");
  await type("exit");
  await page.getByText("The session is over").waitFor();
  await page.getByRole("link", { name: "To the recording" }).click();
  await page.getByText(/Verified to its end/).waitFor();
  await page.getByText("<img src=x onerror=alert(1)>").first().waitFor();
});
