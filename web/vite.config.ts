/// <reference types="vitest/config" />
import tailwind from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

// Each file that is worth it lies compressed beside itself, so that the server
// never compresses: what is sent is as small as can be, and costs nothing.
const compressed: Plugin = {
  name: "compressed",
  apply: "build",
  closeBundle() {
    const dist = resolve(import.meta.dirname, "dist");
    for (const name of readdirSync(dist, { recursive: true, encoding: "utf8" })) {
      if (!/\.(js|css|html|svg)$/.test(name)) continue;
      const content = readFileSync(join(dist, name));
      const smaller = { br: brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: content.length } }), gz: gzipSync(content, { level: 9 }) };
      for (const [suffix, bytes] of Object.entries(smaller)) if (bytes.length < content.length) writeFileSync(join(dist, `${name}.${suffix}`), bytes);
    }
  },
};

// The console is three documents, because a Content-Security-Policy belongs to
// a document: the terminal and the player need what no other page may have.
export default defineConfig({
  plugins: [react(), tailwind(), compressed],
  build: {
    target: "es2022",
    // A data: URL for a font or picture would need a hole in the policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    emptyOutDir: false, // make clears it, but for what git keeps
    rollupOptions: {
      input: Object.fromEntries(["index", "terminal", "player"].map((name) => [name, resolve(import.meta.dirname, `${name}.html`)])),
    },
  },
  server: {
    proxy: { "/api": { target: process.env.VAULTPAM_BASE_URL ?? "http://127.0.0.1:8080", ws: true }, "/healthz": process.env.VAULTPAM_BASE_URL ?? "http://127.0.0.1:8080" },
  },
  test: { environment: "jsdom", include: ["src/**/*.test.{ts,tsx}"], setupFiles: ["src/test-setup.ts"] },
});
