// @vitest-environment node
import { expect, it } from "vitest";
import { Transcript } from "./transcript";

const bytes = (s: string) => new TextEncoder().encode(s);
function lines(...parts: (string | Uint8Array)[]): string[] {
  const t = new Transcript();
  parts.forEach((p, i) => t.output(i, typeof p === "string" ? bytes(p) : p));
  return t.end().map((l) => l.text);
}

it("keeps text and leaves escape sequences out", () => {
  expect(lines("\u001b[1;32muser\u001b[0m$ ls\r\n\u001b]0;title\u0007a  b\r\n\u001bP1;2q...\u001b\\c\u001b(Bd\n")).toEqual(["user$ ls", "a  b", "cd"]);
});

it("writes over a line after a carriage return", () => {
  expect(lines("10 %\r20 %\rdone\n", "ab\b\bxy\n")).toEqual(["done", "xy"]);
});

it("joins characters that were split between frames", () => {
  const euro = bytes("€uro\n");
  expect(lines(euro.slice(0, 1), euro.slice(1))).toEqual(["€uro"]);
});

it("shows nothing that reorders or hides text", () => {
  expect(lines("rm \u202egpj.exe\u202c \u200bx\u0000\u0007\n")).toEqual(["rm gpj.exe x"]);
});

it("bounds a line, and survives a sequence that never ends", () => {
  expect(lines("x".repeat(100_000))[0]).toHaveLength(4096);
  expect(lines("a\u001b]" + "y".repeat(100_000))).toEqual(["a"]);
});

it("dates a line by its first character", () => {
  const t = new Transcript();
  t.output(5, bytes("a"));
  t.output(9, bytes("b\nc"));
  expect(t.end()).toEqual([
    { at: 5, text: "ab" },
    { at: 9, text: "c" },
  ]);
});
