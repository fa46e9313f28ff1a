/// <reference types="vitest/config" />
import tailwind from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { resolve } from "node:path";
import { defineConfig } from "vite";

// The console is three documents, because a Content-Security-Policy belongs to
// a document: the terminal and the player need what no other page may have.
export default defineConfig({
  plugins: [react(), tailwind()],
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
