import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { fits, lists, templates } from "./statements";

it("has the statements that the documents explain", () => {
  const said = readFileSync("../docs/ephemeral.md", "utf8");
  for (const x of templates) for (const s of [...x.create.slice(0, 1), ...x.revoke]) expect(said).toContain(s);
});

it("knows no placeholder but those that the server fills", () => {
  for (const x of templates) for (const s of [...x.create, ...x.revoke]) expect((s.match(/\{\{\w+\}\}/g) ?? []).filter((p) => !["{{name}}", "{{password}}", "{{expires_at}}"].includes(p))).toEqual([]);
});

it("asks for nothing that the resource would refuse", () => {
  const of = (type?: string) => lists.filter((f) => fits(f, type));
  expect(of("ssh")).toEqual(["principals"]);
  expect(of("redis")).toEqual(["rules"]);
  expect(of("postgresql")).toEqual(["create_statements", "revoke_statements"]);
  expect(of()).toEqual([...lists]);
  expect([fits("admin_account_id", "ssh"), fits("admin_account_id", "redis")]).toEqual([false, true]);
});
