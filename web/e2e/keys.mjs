// An administrator of the instance rotates the keys of the vault, and sees it done.
import { check, open, run, signIn } from "./lib.mjs";

await run(async () => {
  const page = await open();
  await signIn(page, { path: "/system" });
  await page.getByText("Version 1", { exact: true }).waitFor();
  await page.getByText("Not rotated yet").waitFor();
  await page.getByRole("button", { name: "Rotate the keys" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Rotate the keys" }).click();
  await page.getByText("Version 2", { exact: true }).waitFor();
  await page.getByText("Last rotated").waitFor();
  await page.getByRole("button", { name: "Rotate the keys", disabled: false }).waitFor();
  check((await page.getByRole("alert").count()) === 0, "something does not open");
});
