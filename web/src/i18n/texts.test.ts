// Every text there is, against every language and every place that shows one.
import { expect, test } from "vitest";

type Texts = { [key: string]: string | Texts };
const files = import.meta.glob<Texts>(["../*/text.*.json", "../pages/*/text.*.json"], { eager: true, import: "default" });
const sources = import.meta.glob<string>(["../**/*.{ts,tsx}", "!../**/*.test.{ts,tsx}", "!../api/schema.ts"], { eager: true, query: "?raw", import: "default" });

// Which forms of a plural a language has, for whole numbers (CLDR).
const forms = { en: ["one", "other"], de: ["one", "other"], fr: ["one", "many", "other"], pl: ["one", "few", "many", "other"] };
type Language = keyof typeof forms;
const languages = Object.keys(forms) as Language[];

/** All texts of a language by their full key. */
function all(language: Language): Map<string, string> {
  const out = new Map<string, string>();
  const walk = (prefix: string, texts: Texts) => {
    for (const [k, v] of Object.entries(texts)) typeof v === "string" ? out.set(`${prefix}.${k}`, v) : walk(`${prefix}.${k}`, v);
  };
  for (const [path, texts] of Object.entries(files)) if (path.endsWith(`/text.${language}.json`)) walk(path.split("/").at(-2)!, texts);
  return out;
}
const texts = Object.fromEntries(languages.map((l) => [l, all(l)])) as Record<Language, Map<string, string>>;

const base = (key: string) => key.replace(/_(zero|one|two|few|many|other)$/, "");
const bases = (l: Language) => new Set([...texts[l].keys()].map(base));
const places = (text: string) => [...new Set(text.match(/\{\{\w+/g))].sort().join(" ");

test.each(languages)("%s has every text, in every plural", (l) => {
  expect([...bases(l)].sort()).toEqual([...bases("en")].sort());
  for (const b of bases("en")) {
    const plural = texts.en.has(`${b}_other`);
    const want = plural ? forms[l].map((f) => `${b}_${f}`) : [b];
    expect([...texts[l].keys()].filter((k) => base(k) === b).sort()).toEqual(want.sort());
  }
});

test.each(languages)("%s fills the same places, and leaves no text empty", (l) => {
  for (const [key, text] of texts[l]) {
    expect(text.trim(), key).not.toBe("");
    if (/_(zero|one|two)$/.test(key)) continue; // "one" may stand for the number
    const en = texts.en.get(key) ?? texts.en.get(`${base(key)}_other`)!;
    expect(places(text), `${l} ${key}`).toBe(places(en));
  }
});

// A translation that is much longer than what the page was drawn for is where a
// label will not fit; the pages are measured in a browser besides.
test.each(languages)("%s is not much longer than English", (l) => {
  const long = [...texts[l]].filter(([key, text]) => {
    const en = texts.en.get(key) ?? texts.en.get(`${base(key)}_other`)!;
    return text.length > Math.max(2 * en.length, en.length + 16);
  });
  expect(long).toEqual([]);
});

const areas = new Set([...bases("en")].map((k) => k.split(".")[0]!));
const strings = Object.entries(sources).flatMap(([path, text]) => [...text.matchAll(/"([a-z]+(?:\.\w+)+)"|`([a-z]+(?:\.(?:\w|\$\{[^`}]*\})+)+)`/gi)].map((m) => ({ path, key: m[1] ?? m[2]! })));

test("every text is shown somewhere", () => {
  const patterns = strings.map(({ key }) => new RegExp(`^${key.replaceAll(".", "\\.").replace(/\$\{[^}]*\}/g, "[\\w.]+")}$`));
  const used = (key: string) => patterns.some((p) => p.test(key));
  expect([...bases("en")].filter((key) => !used(key))).toEqual([]);
});

test("every text that is asked for is there", () => {
  const known = bases("en");
  const missing = Object.entries(sources).flatMap(([path, text]) => [...text.matchAll(/\bt\(\s*"([^"]+)"/g)].map((m) => m[1]!).filter((key) => areas.has(key.split(".")[0]!) && !known.has(key)).map((key) => `${path}: ${key}`));
  expect(missing).toEqual([]);
});
