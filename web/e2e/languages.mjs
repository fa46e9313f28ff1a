// The way from sign-in to the proof, in each language: an operator finds a
// Safe, launches, works and ends; the recording and the log are verified. What
// is on the way is scanned in three themes. The words come from the texts
// themselves, so a label that is not translated is not found.
import { readFileSync } from "node:fs";
import { accessible, check, open, prompt, run, shoot, shown, until, world } from "./lib.mjs";

const folders = { shell: "shell", safes: "pages/safes", terminal: "terminal", player: "player", audit: "pages/audit", recordings: "pages/recordings" };

await run(async () => {
  for (const language of ["en", "de", "fr", "pl"]) {
    const texts = Object.fromEntries(Object.entries(folders).map(([name, folder]) => [name, JSON.parse(readFileSync(new URL(`../src/${folder}/text.${language}.json`, import.meta.url)))]));
    const t = (key) => key.split(".").reduce((at, part) => at[part], texts);
    const began = Date.now();
    const page = await open({ locale: language });
    const look = async (name) => {
      check((await page.evaluate(() => document.documentElement.lang)) === language, `${name} is not in ${language}`);
      await accessible(page, `${language} ${name}`);
      await shoot(page, `${language} ${name}`);
    };

    await page.goto("/safes");
    await page.getByLabel(t("shell.email"), { exact: true }).fill(world.email);
    await page.getByLabel(t("shell.password"), { exact: true }).fill(world.password);
    await look("1 sign-in");
    await page.getByRole("button", { name: t("shell.signIn"), exact: true }).click();

    await page.getByRole("heading", { name: t("safes.title"), level: 1 }).waitFor();
    await look("2 safes");
    await page.getByRole("link", { name: "Demo", exact: true }).click();
    await page.getByRole("button", { name: t("safes.launch"), exact: true }).waitFor();
    await look("3 safe");
    await page.getByRole("button", { name: t("safes.launch"), exact: true }).click();

    await page.getByText(t("terminal.step.live"), { exact: true }).waitFor();
    await until("the shell asks", async () => /[$#]\s*$/.test((await shown(page).innerText()).trimEnd()));
    await page.keyboard.type(`echo ${language} $((6*7))\n`);
    await until("the shell answers", async () => (await shown(page).innerText()).includes(`${language} 42`));
    await look("4 terminal");
    await page.getByRole("button", { name: t("terminal.end"), exact: true }).click();
    if (await page.getByRole("dialog").count()) await page.getByRole("dialog").getByRole("button", { name: t("terminal.end"), exact: true }).click();
    await page.getByText(t("terminal.over")).waitFor();
    await page.getByRole("link", { name: t("terminal.toRecording") }).click();

    const [before] = t("player.verified").split("{{until}}");
    await page.getByText(before.trim()).waitFor();
    await page.getByText(`${language} 42`).first().waitFor();
    await look("5 recording");

    await page.goto("/audit/verify");
    await page.getByRole("button", { name: t("audit.verify"), exact: true }).click();
    await page.getByText(t("audit.steps.root.title")).waitFor();
    await until("every step holds", async () => (await page.getByRole("img", { name: t("audit.states.good"), exact: true }).count()) >= 3);
    check((await page.getByRole("img", { name: t("audit.states.bad"), exact: true }).count()) === 0, "the log does not hold");
    await look("6 log");
    console.log(`${language}: ${((Date.now() - began) / 1000).toFixed(1)} s`);
    await page.context().close();
  }
});
