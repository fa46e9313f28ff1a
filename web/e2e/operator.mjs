// An operator wants in: one press after signing in, several terminals side by
// side, copy and paste as the Safe has it, their own client by a command line
// that is there to be copied, and the way out.
import { api, check, open, prompt, run, shown, signIn, until } from "./lib.mjs";

await run(async () => {
  const call = await api();
  const [demo] = await call("GET", "/safes?q=Demo");
  const password = "a-password-of-their-own";
  const olga = await call("POST", "/org/members", { email: "olga@example.com", role: "operator", password, must_change_password: false });
  const strict = await call("POST", "/safes", { name: "Strict", bindings: demo.bindings, clipboard: "blocked" });
  for (const safe of [demo, strict]) await call("POST", `/safes/${safe.id}/members`, { user_id: olga.user_id, role: "operator" });

  const page = await open();
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await signIn(page, { path: "/", email: "olga@example.com", password });
  check((await page.getByRole("link", { name: "Settings" }).count()) === 0, "the sidebar shows an operator what they have no business with");
  await page.getByRole("button", { name: "Launch Demo" }).click();
  await prompt(page);
  const terminal = (n) => page.getByRole("region", { name: "Terminal" }).nth(n);
  const rows = (n) => terminal(n).locator(".xterm-rows");
  await page.getByText("Recorded", { exact: true }).waitFor();
  await page.getByText(/left$/).first().waitFor();

  // A second terminal, beside the first: the shell is told of its new width.
  const width = async (n) => {
    await terminal(n).locator("textarea").focus();
    await page.keyboard.type("clear; echo $((40+2)) wide $(stty size | cut -d' ' -f2)\n");
    let found;
    await until(`terminal ${n} says how wide it is`, async () => (found = /42 wide (\d+)/.exec(await rows(n).innerText())));
    return Number(found[1]);
  };
  const alone = await width(0);
  await page.getByRole("button", { name: "New terminal" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Strict" }).click();
  await page.getByRole("button", { name: "Split view" }).click();
  await until("both are connected", async () => (await page.getByText("Connected", { exact: true }).filter({ visible: true }).count()) === 2);
  // It takes the focus when it connects: what is typed until then would be torn in two.
  await until("the second asks", async () => /[$#]\s*$/.test((await rows(1).innerText()).trimEnd()));
  await until("the first is narrower", async () => (await width(0)) < alone - 20, 30_000);
  await width(1);
  check((await page.getByRole("list", { name: "Terminals" }).getByRole("listitem").count()) === 2, "there are not two tabs");

  // What is pasted arrives where the Safe allows it, and not where it does not.
  const paste = async (n, text) => {
    await terminal(n).locator("textarea").focus();
    await page.evaluate((t) => navigator.clipboard.writeText(t), text);
    await page.keyboard.press("Control+Shift+V");
    await terminal(n)
      .locator("textarea")
      .evaluate((e, t) => {
        const data = new DataTransfer();
        data.setData("text/plain", t);
        e.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
      }, text);
  };
  await paste(0, "echo pasted here");
  await until("what was pasted is typed", async () => (await rows(0).innerText()).includes("echo pasted here"));
  await paste(1, "echo pasted there");
  await page.getByText("This Safe does not allow pasting.").waitFor();
  check(!(await rows(1).innerText()).includes("pasted there"), "it was pasted although the Safe blocks it");

  // Closing one tab ends its session and leaves the other.
  await page.getByRole("button", { name: "Close Strict" }).click();
  await until("one session is over", async () => (await call("GET", "/sessions?status=active")).length === 1);
  await terminal(0).locator("textarea").focus();
  await page.keyboard.press("Control+C");
  await page.keyboard.type("echo still $((6*7))\n");
  await until("the other goes on", async () => (await shown(page).innerText()).includes("still 42"));
  await page.getByRole("button", { name: "End", exact: true }).click();
  await page.getByText("The session is over").waitFor();

  // The command line for one's own client.
  await page.goto(`/safes/${demo.id}`);
  await page.getByRole("button", { name: "Copy", exact: true }).click();
  const command = await page.evaluate(() => navigator.clipboard.readText());
  check(/^ssh -p \d+ 'olga@example\.com\+demo'@127\.0\.0\.1$/.test(command), `the command is ${command}`);
  check(await page.getByText(command, { exact: true }).isVisible(), "the command is not shown");
});
