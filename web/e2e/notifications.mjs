// An administrator lets a monitoring system know what happens: a test arrives,
// then an event; a receiver that is away is shown as failing, and told once it
// is back; a chat room's address stays hidden.
import { createServer } from "node:http";
import { accessible, check, open, run, signIn, until } from "./lib.mjs";

await run(async () => {
  const got = [];
  let away = false;
  const receiver = createServer((request, response) => {
    let body = "";
    request.on("data", (part) => (body += part));
    request.on("end", () => {
      response.statusCode = away ? 503 : 200;
      if (!away) got.push({ id: request.headers["webhook-id"], signature: request.headers["webhook-signature"], body: JSON.parse(body) });
      response.end();
    });
  });
  await new Promise((done) => receiver.listen(0, "127.0.0.1", done));
  const address = `http://127.0.0.1:${receiver.address().port}`;
  try {
    const page = await open();
    await signIn(page, { path: "/organization/notifications" });
    const dialog = page.getByRole("dialog");
    await page.getByText("Nobody is told yet").waitFor();

    await page.getByRole("button", { name: "New webhook" }).first().click();
    await dialog.getByLabel("Address", { exact: true }).fill(`${address}/hook`);
    await dialog.getByLabel(/^Name/).fill("SIEM");
    await dialog.getByLabel("Events", { exact: true }).fill("COFFEE_*");
    await dialog.getByRole("button", { name: "New webhook" }).click();
    await dialog.getByText(/is no type of event/).waitFor();
    await dialog.getByLabel("Events", { exact: true }).fill("");
    await dialog.getByRole("button", { name: "Safes", exact: true }).click();
    check((await dialog.getByLabel("Events", { exact: true }).inputValue()) === "SAFE_*", "the bundle is not put in");
    await dialog.getByRole("button", { name: "New webhook" }).click();
    await dialog.getByText("Copy it now").waitFor();
    const secret = await dialog.locator("code").innerText();
    check(/^whsec_[A-Za-z0-9+/]{43}=$/.test(secret), "no key is shown");
    await dialog.getByRole("button", { name: "Close" }).first().click();
    check(!(await page.content()).includes(secret), "the key stays in the page");
    await accessible(page, "notifications");

    await page.getByRole("link", { name: "SIEM", exact: true }).click();
    await page.getByRole("button", { name: "Send a test" }).click();
    await page.getByText("It arrived").waitFor();
    check(got.length === 1 && got[0].body.type === "WEBHOOK_TESTED" && got[0].signature.startsWith("v1,"), `the test is ${JSON.stringify(got)}`);
    await accessible(page, "one webhook");

    away = true;
    await page.goto("/safes/new");
    await page.getByLabel("Name", { exact: true }).fill("Told");
    await page.getByRole("button", { name: "Create", exact: false }).last().click();
    await page.getByRole("heading", { name: "Told", level: 1 }).waitFor();
    await page.goto("/organization/notifications");
    await page.getByText("Failing", { exact: true }).waitFor();
    away = false;
    await page.getByRole("link", { name: "SIEM", exact: true }).click();
    await page.getByRole("button", { name: "Try now" }).or(page.getByRole("button", { name: "Disable" })).first().click();
    await until("the event arrives", () => got.some((e) => e.body.type === "SAFE_CREATED" && e.body.data.target.name === "Told"));
    await until("its delivery is shown", async () => {
      await page.reload(); // it returns before the rows are asked for
      const row = page.getByRole("row").filter({ hasText: "Safe created" });
      await row.waitFor();
      return (await row.filter({ hasText: "Delivered" }).count()) === 1;
    });

    await page.goto("/organization/notifications");
    await page.getByRole("button", { name: "New webhook" }).first().click();
    await dialog.getByLabel("Kind", { exact: true }).selectOption("slack");
    await dialog.getByLabel("Address", { exact: true }).fill(`${address}/services/hush`);
    await dialog.getByLabel(/^Name/).fill("Room");
    await dialog.getByRole("button", { name: "Access requests" }).click();
    await dialog.getByRole("button", { name: "New webhook" }).click();
    await page.getByRole("link", { name: "Room", exact: true }).click();
    await page.getByRole("heading", { name: "Room", level: 1 }).waitFor();
    check(!(await page.content()).includes("hush"), "the chat room's address is shown");
    await page.getByRole("button", { name: "Delete" }).click();
    await dialog.getByLabel(/Type the name/).fill("Room");
    await dialog.getByRole("button", { name: "Delete" }).click();
    await until("it is gone", async () => (await page.getByText("Room", { exact: true }).count()) === 0);

    await page.getByLabel("Write to approvers by e-mail").click();
    await until("it is off", async () => !(await page.getByLabel("Write to approvers by e-mail").isChecked()));
    await page.reload();
    await until("the choice is kept", async () => !(await page.getByLabel("Write to approvers by e-mail").isChecked()));
  } finally {
    receiver.closeAllConnections();
    receiver.close();
  }
});
