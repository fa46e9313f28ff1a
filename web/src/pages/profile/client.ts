// What a person recognizes a login by.

const programs: [RegExp, string][] = [
  [/^vaultpam\//, "vaultpam"],
  [/\bEdg\//, "Edge"],
  [/\bOPR\//, "Opera"],
  [/\b(?:Headless)?Chrome\//, "Chrome"],
  [/\bFirefox\//, "Firefox"],
  [/\bVersion\/.*\bSafari\//, "Safari"],
];

const systems: [RegExp, string][] = [
  [/\bAndroid\b/, "Android"],
  [/\b(?:iPhone|iPad)\b/, "iOS"],
  [/\bWindows\b/, "Windows"],
  [/\bMac OS X\b|\bdarwin\b/, "macOS"],
  [/\blinux\b/i, "Linux"],
];

const find = (list: [RegExp, string][], text: string) => list.find(([pattern]) => pattern.test(text))?.[1];

/** The program and the system of a User-Agent, as far as they are known. */
export function clientOf(userAgent: string): { program?: string; system?: string } {
  return { program: find(programs, userAgent), system: find(systems, userAgent) };
}
