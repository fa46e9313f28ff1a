// What every document of the console starts with.
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { createRoot } from "react-dom/client";
import { ApiError } from "./api/client";
import { SessionProvider } from "./api/session";
import "./app.css";
import { start } from "./i18n";
import { followTheme } from "./shell/theme";
import { ToastProvider } from "./ui/toast";

export async function boot(page: ReactNode): Promise<void> {
  const client = new QueryClient({
    defaultOptions: {
      queries: { retry: (n, e) => n < 2 && e instanceof ApiError && (e.status === 0 || e.status >= 500) && e.code !== "VAULT_SEALED", staleTime: 5_000 },
    },
  });
  await start();
  followTheme();
  createRoot(document.getElementById("root")!).render(
    <QueryClientProvider client={client}>
      <SessionProvider>
        <ToastProvider>{page}</ToastProvider>
      </SessionProvider>
    </QueryClientProvider>,
  );
}
