// What it costs to come in: bytes until the sign-in and until the first list,
// and whether what is seen stays in its place.
import { api, check, open, run, settled, signIn } from "./lib.mjs";

const limit = 250_000; // bytes, compressed

// Content encodings, bytes and names of everything that the page has loaded.
const loaded = (page) =>
  page.evaluate(() => {
    const files = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")].filter((e) => !e.name.includes("/api/"));
    return { bytes: files.reduce((n, e) => n + e.encodedBodySize, 0), plain: files.filter((e) => e.decodedBodySize > 2000 && e.encodedBodySize === e.decodedBodySize).map((e) => e.name), names: files.map((e) => e.name.replace(/.*\//, "")) };
  });

await run(async () => {
  const call = await api();
  for (let i = 0; i < 50; i++) await call("POST", "/safes", { name: `Safe ${i}` });

  const page = await open();
  await page.addInitScript(() => {
    window.shifted = 0;
    new PerformanceObserver((l) => l.getEntries().forEach((e) => (window.shifted += e.hadRecentInput ? 0 : e.value))).observe({ type: "layout-shift", buffered: true });
  });
  await settled(page, "/safes");
  await page.getByLabel("E-mail").waitFor();
  const first = await loaded(page);
  check(first.bytes > 20_000 && first.bytes <= limit, `the sign-in takes ${first.bytes} bytes`);
  await signIn(page);
  await page.locator("tbody tr").first().waitFor();

  await settled(page, "/safes");
  const list = await loaded(page);
  check(list.bytes <= limit, `the list of Safes takes ${list.bytes} bytes`);
  check(list.plain.length === 0, `these come uncompressed: ${list.plain}`);
  check(!list.names.some((n) => /^(terminal|player)/.test(n)), `the terminal or the player comes with a list: ${list.names}`);
  const shifted = await page.evaluate(() => window.shifted);
  check(shifted < 0.1, `what is seen moves: ${shifted}`);

  console.log(`sign-in ${(first.bytes / 1000).toFixed(0)} kB, list ${(list.bytes / 1000).toFixed(0)} kB, moved by ${shifted.toFixed(4)}`);
});
