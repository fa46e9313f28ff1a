import { describe, expect, it } from "vitest";
import { choices, grave, parse, request, typeOf, types } from "./query";
import english from "./text.en.json";

describe("what is typed", () => {
  it.each([
    ["", {}],
    ["  ", {}],
    ["type:LOGIN_FAILED", { type: "LOGIN_FAILED" }],
    ["type:login_failed ip:192.0.2.7", { type: "LOGIN_FAILED", source_ip: "192.0.2.7" }],
    ['type:"Login Failed"', { type: "LOGIN_FAILED" }],
    ["TYPE:LOGIN_FAILED", { type: "LOGIN_FAILED" }],
    ["category:Session", { category: "session" }],
    ["ip:2001:db8::1", { source_ip: "2001:db8::1" }],
    ["actor:usr_01ARZ3NDEKTSV4RRFFQ69G5FAV", { actor_id: "usr_01ARZ3NDEKTSV4RRFFQ69G5FAV" }],
    ["target:saf_01ARZ3NDEKTSV4RRFFQ69G5FAV web", { target_id: "saf_01ARZ3NDEKTSV4RRFFQ69G5FAV", q: "web" }],
    ['"two words" and more', { q: "two words and more" }],
    ["http://example.com:80", { q: "http://example.com:80" }],
    ["14:05", { q: "14:05" }],
    ["<script>alert(1)</script>", { q: "<script>alert(1)</script>" }],
    ['unclosed "quote', { q: "unclosed quote" }],
    ["from:2026-05-31T10:00:00Z", { from: "2026-05-31T10:00:00.000Z" }],
  ])("%s", (text, set) => expect(parse(text)).toEqual({ set, names: {}, problems: [] }));

  it("leaves names for somebody else to find", () => {
    expect(parse('actor:ann@example.com target:"Web servers"')).toEqual({ set: {}, names: { actor: "ann@example.com", target: "Web servers" }, problems: [] });
  });

  it("says what cannot be meant, and does not guess", () => {
    expect(parse("type:NO_SUCH").problems).toEqual([{ kind: "type", value: "NO_SUCH" }]);
    expect(parse("type:").problems).toEqual([{ kind: "key", value: "type" }]);
    expect(parse("category:x").problems).toEqual([{ kind: "category", value: "x" }]);
    expect(parse("from:yesterday").problems).toEqual([{ kind: "time", value: "yesterday" }]);
  });

  it("takes a day as it is here, to its end", () => {
    const { from, to } = parse("from:2026-05-31 to:2026-05-31").set;
    expect(new Date(from!).getHours()).toBe(0);
    expect(Date.parse(to!) - Date.parse(from!)).toBe(86_400_000);
  });

  it("knows a type by a beginning that no other has", () => {
    expect(typeOf("LOGIN_SUC")?.type).toBe("LOGIN_SUCCEEDED");
    expect(typeOf("LOGIN_")).toBeUndefined();
    expect(typeOf("logout")?.type).toBe("LOGOUT");
  });
});

describe("what is proposed", () => {
  it("begins with the keys", () => expect(choices("").map((c) => c.complete)).toEqual(["type:", "category:", "actor:", "target:", "ip:"]));

  it("is the text itself before any type that fits", () => {
    const got = choices("login fail");
    expect(got[0]).toMatchObject({ set: { q: "login fail" } });
    expect(got[0]!.key).toBeUndefined();
    expect(got.slice(1).map((c) => c.set?.type)).toEqual(["LOGIN_FAILED", "LOGIN_FAILURES_AGGREGATED"]);
  });

  it("is values of the key alone after a key", () => {
    expect(choices("type:credential rotation").map((c) => c.set)).toEqual([{ type: "CREDENTIAL_ROTATION_FAILED" }]);
    expect(choices("category:se").map((c) => c.set)).toEqual([{ category: "session" }]);
    expect(choices("actor:a", [{ key: "actor", set: { actor_id: "usr_1" }, label: "a" }, { key: "target", set: { target_id: "saf_1" }, label: "a" }]).map((c) => c.set)).toEqual([{ actor_id: "usr_1" }]);
  });

  it("knows an address when it sees one", () => {
    expect(choices("192.0.2.7").some((c) => c.set?.source_ip === "192.0.2.7")).toBe(true);
    expect(choices("2001:db8::1").some((c) => c.set?.source_ip === "2001:db8::1")).toBe(true);
  });

  it("is nothing for a whole query, which Enter takes as it is", () => expect(choices("type:LOGIN_FAILED ip:192.0.2.7")).toEqual([]));
});

describe("what is asked of the API", () => {
  const now = Date.parse("2026-05-31T12:00:00Z");
  it("is the URL's state, with a span from now on", () => {
    expect(request({ span: "24h", type: "LOGIN_FAILED", cursor: "c" }, now)).toEqual({ type: "LOGIN_FAILED", cursor: "c", from: "2026-05-30T12:00:00.000Z" });
    expect(request({ span: "never", instance: "true" }, now)).toEqual({ instance: true });
    expect(request({ instance: "yes" }, now)).toEqual({});
  });
});

it("warns of types that exist", () => {
  for (const t of grave) expect(types.map((x) => x.type)).toContain(t);
});

it("names of events are of types that there are, and no two are alike", () => {
  const known = new Set(types.map((x) => x.type));
  expect(Object.keys(english.events).filter((x) => !known.has(x))).toEqual([]);
  expect(new Set(Object.values(english.events)).size).toBe(Object.keys(english.events).length);
});
