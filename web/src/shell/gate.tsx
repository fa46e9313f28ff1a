import type { ReactNode } from "react";
import { ApiError } from "../api/client";
import { useSession } from "../api/session";
import { Loading, Problem } from "../ui/feedback";
import { Sealed, Standing } from "./sealed";
import { SignIn } from "./signin";

/** Shows what is behind it to whoever is signed in, and everybody else the
 * sign-in in its place: the address stays as it is. */
export function Gate({ children }: { children: (org: string) => ReactNode }) {
  const { who, error, retry } = useSession();
  const sealed = error instanceof ApiError && error.code === "VAULT_SEALED";
  if (error) {
    return (
      <Standing>
        {sealed ? (
          <Sealed onOpen={retry} />
        ) : (
          <>
            <h1 className="sr-only">VaultPAM</h1>
            <Problem error={error} retry={retry} />
          </>
        )}
      </Standing>
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
