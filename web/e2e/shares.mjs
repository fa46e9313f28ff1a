// A vault that people open together: each gives a share, sees how far they
// are, and is told of a mistake; with the last one everybody can sign in.
import { accessible, check, open, run, shoot, world } from "./lib.mjs";

await run(async () => {
  const shares = world.shares;
  const one = await open();
  await one.goto("/safes");
  await one.getByRole("heading", { name: "The vault is sealed" }).waitFor();
  await one.getByText("0 of 2 shares were given; there are 3.").waitFor();

  await one.getByLabel("Share", { exact: true }).fill(shares[0].slice(0, -3));
  await one.getByRole("button", { name: "Give this share" }).click();
  await one.getByText("This share is mistyped or cut short.").waitFor();

  await one.getByLabel("Share", { exact: true }).fill(shares[0]);
  await one.keyboard.press("Enter");
  await one.getByText("1 of 2 shares were given; there are 3.").waitFor();
  check((await one.getByLabel("Share", { exact: true }).inputValue()) === "", "the share stays in the field");

  await one.getByRole("button", { name: "Drop what was given" }).click();
  await one.getByText("0 of 2 shares were given; there are 3.").waitFor();
  await one.getByLabel("Share", { exact: true }).fill(shares[2]);
  await one.keyboard.press("Enter");
  await one.getByText("1 of 2 shares were given; there are 3.").waitFor();

  await accessible(one, "shares");
  await shoot(one, "shares");

  for (const [locale, words] of Object.entries({ de: "1 von 2 nötigen Anteilen", fr: "1 parts remises sur 2", pl: "Podano 1 z 2" })) {
    const page = await open({ locale });
    await page.goto("/safes");
    await page.getByText(words).waitFor();
  }

  const two = await open({ viewport: { width: 360, height: 700 } });
  await two.goto("/safes");
  await two.getByLabel("Share", { exact: true }).fill(shares[1]);
  await two.getByRole("button", { name: "Give this share" }).click();
  for (const page of [one, two]) await page.getByLabel("E-mail").waitFor();
});
