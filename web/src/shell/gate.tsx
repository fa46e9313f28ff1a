import type { ReactNode } from "react";
import { useSession } from "../api/session";
import { Loading, Problem } from "../ui/feedback";
import { SignIn } from "./signin";

/** Shows what is behind it to whoever is signed in, and everybody else the
 * sign-in in its place: the address stays as it is. */
export function Gate({ children }: { children: (org: string) => ReactNode }) {
  const { who, error, retry } = useSession();
  if (error) {
    return (
      <main className="mx-auto flex min-h-dvh max-w-xl flex-col justify-center gap-6 p-6">
        <h1 className="flex items-center gap-3 text-2xl font-semibold tracking-tight">
          <img src="/favicon.svg" alt="" width={36} height={36} />
          VaultPAM
        </h1>
        <Problem error={error} retry={retry} />
      </main>
    );
  }
  if (who === undefined) {
    return (
      <main>
        <Loading />
      </main>
    );
  }
  return who === null ? <SignIn /> : children(who.org);
}
