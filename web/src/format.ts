// How times, lengths and sizes read, in the chosen language.
import i18next from "i18next";

/** The chosen language as the person's own region writes it: who reads English
 * in Europe does not want an American date. */
export function locale(): string {
  const chosen = i18next.language;
  return navigator.languages.find((l) => l === chosen || l.startsWith(`${chosen}-`)) ?? chosen;
}

export function when(iso: string): string {
  return new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(new Date(iso));
}

const steps: [Intl.RelativeTimeFormatUnit, number][] = [["day", 86400], ["hour", 3600], ["minute", 60]];

/** "3 minutes ago", "in 2 hours"; the date beyond a month. */
export function ago(iso: string, now = Date.now()): string {
  const seconds = (Date.parse(iso) - now) / 1000;
  if (Math.abs(seconds) > 31 * 86400) return when(iso);
  const format = new Intl.RelativeTimeFormat(locale(), { numeric: "auto" });
  // What lies ahead is rounded: 30 days less a minute are not "in 29 days".
  const whole = seconds > 0 ? Math.round : Math.trunc;
  for (const [unit, length] of steps) if (Math.abs(seconds) >= length) return format.format(whole(seconds / length), unit);
  return format.format(Math.trunc(seconds), "second");
}

/** 3:07, 1:02:33. */
export function clock(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  const two = (n: number) => String(n).padStart(2, "0");
  const [h, m] = [Math.floor(s / 3600), Math.floor(s / 60) % 60];
  return h ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}

const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];

export function bytes(n: number): string {
  let i = 0;
  for (; n >= 1000 && i < units.length - 1; i++) n /= 1000;
  return new Intl.NumberFormat(locale(), { style: "unit", unit: units[i], unitDisplay: i ? "short" : "long", maximumFractionDigits: i ? 1 : 0 }).format(n);
}

export function count(n: number): string {
  return new Intl.NumberFormat(locale()).format(n);
}

/** A length that somebody has set: "4 hours", "90 minutes". */
export function duration(seconds: number): string {
  const [unit, n] = seconds >= 86400 && seconds % 86400 === 0 ? ["day", seconds / 86400] : seconds >= 3600 && seconds % 3600 === 0 ? ["hour", seconds / 3600] : ["minute", Math.round(seconds / 60)];
  return new Intl.NumberFormat(locale(), { style: "unit", unit: unit as string, unitDisplay: "long" }).format(n as number);
}

/** The date and the time to the second, for who compares logs. */
export function exact(iso: string): string {
  return new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "medium" }).format(new Date(iso));
}
