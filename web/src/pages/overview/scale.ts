// What a plot shows, in numbers.
export interface Count {
  from: string; // when the step begins
  count: number;
}

const steps = [2, 4, 6, 8, 10];

/** The top of the scale: even, so that its half is a whole number too, and no
 * more than twice the largest value, beyond the smallest scale. */
export function top(largest: number): number {
  for (let unit = 1; ; unit *= 10) for (const s of steps) if (s * unit >= largest) return s * unit;
}

export const total = (rows: Count[]) => rows.reduce((n, r) => n + r.count, 0);
export const largest = (rows: Count[]) => rows.reduce((n, r) => Math.max(n, r.count), 0);

const lengths = { hour: 3_600_000, day: 86_400_000 };
export type Width = keyof typeof lengths;

/** Where a step ends: where the next begins. */
export function until(row: Count, width: Width): string {
  return new Date(Date.parse(row.from) + lengths[width]).toISOString();
}

/** The steps that have a label below, so far apart that none touches another:
 * hours that divide by six here, days a week apart counted from today. */
export function labelled(rows: Count[], width: Width): number[] {
  const all = rows.map((_, i) => i);
  if (width === "day") return all.filter((i) => (rows.length - 1 - i) % 7 === 0);
  return all.filter((i) => new Date(rows[i]!.from).getHours() % 6 === 0);
}
