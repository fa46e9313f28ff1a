// Somebody registers a passkey and signs in by it: behind the password, and
// alone.
import { accessible, api, check, open, run, settled, until, world } from "./lib.mjs";

await run(async () => {
  const call = await api();
  const email = "nora@example.com";
  await call("POST", "/org/members", { email, role: "operator", password: world.password, must_change_password: false });
  // Browsers have passkeys for names alone.
  const page = await open({ baseURL: world.base.replace("127.0.0.1", "localhost") });
  const devices = await page.context().newCDPSession(page);
  await devices.send("WebAuthn.enable");
  const { authenticatorId } = await devices.send("WebAuthn.addVirtualAuthenticator", {
    options: { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
  });
  const submit = page.getByRole("button", { name: "Sign in", exact: true });
  const pages = page.getByRole("navigation", { name: "Pages" });

  await page.goto("/safes");
  await page.getByRole("button", { name: "Sign in with a passkey" }).waitFor();
  await accessible(page, "sign-in with passkeys");
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(world.password);
  await submit.click();
  await pages.waitFor();
  await settled(page, "/profile");
  const dialog = page.getByRole("dialog");
  await page.getByRole("button", { name: "Add a passkey" }).click();
  await dialog.getByLabel(/^Name/).fill("Laptop");
  await accessible(page, "a new passkey");
  await dialog.getByRole("button", { name: "Go on" }).click();
  await page.getByRole("list", { name: "Recovery codes" }).waitFor();
  await page.getByRole("button", { name: "I have kept them" }).click();
  await page.getByText("Laptop", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Rename Laptop" }).click();
  await dialog.getByLabel("Name", { exact: true }).fill("Old laptop");
  await dialog.getByRole("button", { name: "Rename", exact: true }).click();
  await page.getByText("Old laptop", { exact: true }).waitFor();
  await accessible(page, "profile with a passkey");

  const leave = async () => {
    await page.context().clearCookies();
    await page.goto("/safes");
    await page.getByLabel("E-mail").waitFor();
  };
  await leave();
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  await pages.waitFor();

  await leave();
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(world.password);
  await submit.click();
  await page.getByLabel("Recovery code").waitFor();
  await accessible(page, "a passkey behind the password");
  await page.getByRole("button", { name: "Use a passkey" }).click();
  await pages.waitFor();

  // The device refuses: nothing happens, and one can try again.
  await leave();
  await devices.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: false });
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  await page.getByText("The browser has not used a passkey").waitFor();
  await devices.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: true });
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  await pages.waitFor();

  await settled(page, "/profile");
  await page.getByRole("button", { name: "Remove Old laptop" }).click();
  await dialog.getByRole("button", { name: "Remove" }).last().click();
  await until("it is gone", async () => (await page.getByText("Old laptop", { exact: true }).count()) === 0);
  const { credentials } = await devices.send("WebAuthn.getCredentials", { authenticatorId });
  check(credentials.length === 1 && credentials[0].signCount > 0, "the device has not been asked");
  await leave();
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  await page.getByText("Nobody here can sign in with this passkey").waitFor();
});
