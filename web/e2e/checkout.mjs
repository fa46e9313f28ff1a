// A secret is checked out where the Safe allows it: shown once, given back, and
// nowhere on the page afterwards.
import { api, check, open, run, shoot, signIn, until, world } from "./lib.mjs";

await run(async () => {
  const call = await api();
  const [demo] = await call("GET", "/safes?q=Demo");
  const page = await open();
  await signIn(page, { path: `/safes/${demo.id}` });
  await page.getByRole("button", { name: "Launch", exact: true }).waitFor();
  check((await page.getByRole("button", { name: /^Check out/ }).count()) === 0, "a Safe without checkout offers one");

  await call("PATCH", `/safes/${demo.id}`, { checkout: { enabled: true, ttl_seconds: 600 } }, { "Content-Type": "application/merge-patch+json" });
  await page.reload();
  await page.getByRole("button", { name: /^Check out/ }).click();
  await page.getByRole("dialog").getByLabel("Reason").fill("INC-1042");
  await page.getByRole("button", { name: "Show it" }).click();
  const shown = page.getByLabel("Secret", { exact: true });
  await shown.waitFor();
  const secret = (await shown.textContent()).trim();
  check(secret.length > 8, `the secret is "${secret}"`);
  if (world.keep) await shoot(page, "a secret");
  const [out] = await call("GET", "/checkouts");
  check(out?.status === "checked_out" && !("value" in out), `the checkout is ${JSON.stringify(out)}`);
  await page.getByRole("button", { name: "Give it back" }).click();
  await page.getByText("The credential was given back.").waitFor();
  await until("the checkout is over", async () => (await call("GET", `/checkouts/${out.id}`)).status === "available");
  check(!(await page.content()).includes(secret), "the secret is still on the page");
});
