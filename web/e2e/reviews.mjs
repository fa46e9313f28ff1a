// Who can reach what, and a review in which a manager takes a role away.
import { accessible, api, check, open, run, settled, signIn, world } from "./lib.mjs";

await run(async () => {
  const call = await api();
  const olga = await call("POST", "/org/members", { email: "olga@example.com", role: "operator", password: world.password, must_change_password: false });
  const safe = await call("POST", "/safes", { name: "Old project" });
  await call("POST", `/safes/${safe.id}/members`, { user_id: olga.user_id, role: "operator" });

  const page = await open();
  await signIn(page, { path: "/access" });
  const row = page.getByRole("row", { name: /olga@example\.com/ });
  await row.getByText("Old project").waitFor();
  await row.getByText("Member: Operator").waitFor();
  await row.getByText("May launch").waitFor();
  await accessible(page, "access");
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Export" }).click()]);
  check(file.suggestedFilename() === "access.csv", `the export is called ${file.suggestedFilename()}`);

  await page.goto("/reviews");
  await page.getByRole("button", { name: "Begin a review" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill("Autumn");
  await accessible(page, "begin a review");
  await dialog.getByRole("button", { name: "Begin a review" }).click();
  await page.getByRole("heading", { name: "Autumn" }).waitFor();
  await page.getByRole("checkbox", { name: "Choose olga@example.com" }).check();
  await accessible(page, "review");
  await page.getByRole("button", { name: "Revoke" }).click();
  await dialog.getByLabel("Comment").fill("left the project");
  await dialog.getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("row", { name: /olga@example\.com.*left the project/ }).waitFor();
  check((await call("GET", `/safes/${safe.id}/members`)).every((m) => m.user_id !== olga.user_id), "the role is still there");
  await page.getByRole("button", { name: "Close the review" }).click();
  await dialog.getByRole("button", { name: "Close the review" }).click();
  await page.getByText("Closed", { exact: true }).first().waitFor();

  const hers = await open();
  await signIn(hers, { path: "/profile/access", email: "olga@example.com" });
  await hers.getByText("Nobody reaches anything here").waitFor();
  await settled(hers, "/reviews");
  await hers.getByText("No reviews").waitFor();
});
