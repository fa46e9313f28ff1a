// A new user goes through the guide: a server, its login, a Safe, a session in
// the browser, and its recording, checked by the page. Under two minutes.
import { check, open, prompt, run, shown, signIn, until, world } from "./lib.mjs";

await run(async () => {
  const began = Date.now();
  const page = await open();
  await signIn(page, { path: "/start" });
  await page.getByLabel("Name").fill("Web server");
  await page.getByLabel("Host", { exact: true }).fill(world.target.host);
  await page.getByLabel("Port").fill(String(world.target.port));
  await page.getByRole("button", { name: "Save and test" }).click();

  // The test runs by itself, shows the key that the server shows, and pins it.
  await page.getByText("Its host key, not pinned yet:").waitFor();
  await page.getByText(world.target.fingerprint).first().waitFor();
  await page.getByRole("button", { name: "Pin this key" }).click();
  await page.getByText("Pinned", { exact: true }).first().waitFor();

  const account = page.locator('li[aria-current="step"]');
  await account.getByLabel("Username").fill(world.target.user);
  await account.getByLabel("Password", { exact: true }).fill(world.target.password);
  await account.getByRole("button", { name: "Save and test" }).click();
  await page.getByText("Login works").waitFor();
  await page.getByRole("button", { name: "Continue" }).click();

  await page.locator('li[aria-current="step"]').getByLabel("Name").fill("Web servers");
  await page.locator('li[aria-current="step"]').getByRole("button", { name: "Create a Safe" }).click();
  await page.locator('li[aria-current="step"]').getByRole("button", { name: "Launch", exact: true }).click();

  await prompt(page);
  await page.keyboard.type("printf 'sum %s\\n' $((6*7)); whoami\n");
  await until("the shell answers", async () => (await shown(page).innerText()).includes("sum 42") && (await shown(page).innerText()).includes(world.target.user));
  await page.keyboard.insertText("echo Zażółć gęślą jaźń – 日本 – ✓");
  await page.keyboard.press("Enter");
  await until("letters of all the world come back", async () => (await shown(page).innerText()).split("Zażółć gęślą jaźń – 日本 – ✓").length > 2);
  await page.keyboard.type("exit\n");
  await page.getByText("The session is over").waitFor();

  await page.getByRole("link", { name: "To the recording" }).click();
  await page.getByText(/Verified to its end/).waitFor();
  await page.getByText("sum 42").first().waitFor();
  const took = (Date.now() - began) / 1000;
  console.log(`from sign-in to the verified recording: ${took.toFixed(1)} s`);
  check(took < 120, `it took ${took} s`);
});
