// An administrator lets the organization believe a provider of SAML, by its
// address or a file, and somebody who was never here signs in by it: the
// provider's page posts from another site, and the strict cookie still serves.
import { accessible, api, check, open, run, settled, until, world } from "./lib.mjs";

await run(async () => {
  const call = await api();
  const { slug } = await call("GET", "/org");
  const baseURL = world.base.replace("127.0.0.1", "localhost");
  const page = await open({ baseURL });
  await page.goto("/organization/sso/new");
  await page.getByLabel("E-mail").fill(world.email);
  await page.getByLabel("Password").fill(world.password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByLabel("Protocol").selectOption("SAML 2.0");
  check((await page.getByLabel("Client ID").count()) === 0, "fields of another protocol are shown");
  await page.getByLabel("Name", { exact: true }).fill("Corp SAML");
  await page.getByLabel("Address of the metadata").fill("http://idp.example.com/metadata");
  await page.getByRole("button", { name: "Add a provider" }).click();
  await page.getByText(/must begin with https/).waitFor();
  await page.getByLabel("The provider's metadata").selectOption("From a file");
  const file = (text) => ({ name: "metadata.xml", mimeType: "application/xml", buffer: Buffer.from(text) });
  await page.getByLabel("Metadata file").setInputFiles(file("<html></html>"));
  await page.getByRole("button", { name: "Add a provider" }).click();
  await page.getByText("This is not the SAML metadata of one identity provider.").waitFor();
  await accessible(page, "add a provider of SAML");
  await page.getByLabel("The provider's metadata").selectOption("Read at an address, again each day");
  await page.getByLabel("Address of the metadata").fill(world.saml.metadata_url);
  await page.getByLabel("Domains of addresses").fill("corp.test");
  await page.getByLabel("Make users of people who are new").check();
  await page.getByRole("button", { name: "Add a provider" }).click();
  await page.getByText("Give this to the provider").waitFor();
  const [made] = await call("GET", "/org/sso/providers");
  await page.getByText(made.saml.entity_id, { exact: true }).waitFor();
  await page.getByText(made.callback_url, { exact: true }).waitFor();
  await page.getByText(made.saml.certificates[0].sha256).waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download" }).click()]);
  check(download.suggestedFilename() === "vaultpam-metadata.xml", download.suggestedFilename());
  await accessible(page, "a provider of SAML");

  const theirs = await open({ baseURL });
  await theirs.goto(`/login/${slug}`);
  await theirs.getByRole("button", { name: "Sign in with Corp SAML" }).click();
  await theirs.getByRole("navigation", { name: "Pages" }).waitFor();
  check(!/callback|SAML/.test(theirs.url()), `what opens something stays in the address: ${theirs.url()}`);
  await settled(theirs, "/profile");
  await theirs.getByRole("main").getByText("nora@corp.test").first().waitFor();
  await until("the identity is kept", async () => (await call("GET", "/org/sso/identities")).length === 1);

  // A response that no sign-in of this browser has asked for.
  const other = await open({ baseURL });
  await other.goto("/login");
  await other.evaluate((to) => {
    const form = document.createElement("form");
    form.method = "post";
    form.action = to;
    for (const [name, value] of [["SAMLResponse", "QUJD"], ["RelayState", "guessed"]]) {
      const input = document.createElement("input");
      input.name = name;
      input.value = value;
      form.append(input);
    }
    document.body.append(form);
    form.submit();
  }, new URL(made.callback_url).pathname);
  await other.getByRole("heading", { name: "Sign-in failed" }).waitFor();

  // It is changed to a file, and what was not chosen stays.
  await page.getByLabel("The provider's metadata").selectOption("From a file");
  await page.getByLabel("Metadata file").setInputFiles(file(world.saml.metadata));
  await page.getByLabel("Name", { exact: true }).fill("Corp");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: "Test: Corp" }).click();
  await page.getByText("The provider answers as it should.").waitFor();
  const [kept] = await call("GET", "/org/sso/providers");
  check(kept.saml.metadata_url === "" && kept.saml.certificates[0].sha256 === made.saml.certificates[0].sha256 && kept.allowed_domains[0] === "corp.test", JSON.stringify(kept));
});
