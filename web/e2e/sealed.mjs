// The vault is sealed: every page that is open says so by itself, whoever signs
// in is told, and all go on where they were once it is open.
import { check, open, run, signIn, world } from "./lib.mjs";

await run(async () => {
  const admin = await open();
  await signIn(admin, { path: "/system" });
  const other = await open();
  await signIn(other, { path: "/sessions?status=ended" });

  await admin.getByRole("button", { name: "Seal the vault" }).click();
  await admin.getByRole("dialog").getByRole("button", { name: "Seal the vault" }).click();
  await admin.getByRole("heading", { name: "The vault is sealed" }).waitFor();
  await other.getByRole("heading", { name: "The vault is sealed" }).waitFor();

  const late = await open();
  await late.goto("/safes");
  await late.getByRole("heading", { name: "The vault is sealed" }).waitFor();

  await admin.getByRole("button", { name: "Unseal" }).click();
  await admin.getByRole("heading", { name: "Vault", level: 1 }).waitFor();
  await other.getByRole("heading", { name: "Sessions", level: 1 }).waitFor();
  check(other.url().endsWith("/sessions?status=ended"), `it goes on at ${other.url()}`);
  await late.getByLabel("E-mail").fill(world.email);
  await late.getByLabel("Password").fill(world.password);
  await late.getByRole("button", { name: "Sign in", exact: true }).click();
  await late.getByRole("heading", { name: "Safes", level: 1 }).waitFor();
});
