import { useQuery } from "@tanstack/react-query";
import { useState, type FormEvent, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { answer, ApiError } from "../api/client";
import { Button, ButtonLink } from "./button";
import { Alert, Loading, Problem } from "./feedback";
import { Unread } from "./missing";

interface EditFormProps {
  /** Where Cancel leads; without it the form stays. */
  back?: string;
  /** Without a frame of its own, in a card. */
  bare?: boolean;
  label: string;
  save: () => Promise<void>;
  children: (problems: Record<string, string>) => ReactNode;
}

/** A form that saves, with the fields' problems from the API's envelope. */
export function EditForm({ back, bare, label, save, children }: EditFormProps) {
  const { t } = useTranslation();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  async function submit(e: FormEvent) {
    e.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await save();
    } catch (err) {
      setError(err);
    } finally {
      setBusy(false);
    }
  }
  return (
    <form onSubmit={(e) => void submit(e)} noValidate className={bare ? "max-w-lg space-y-4" : "max-w-2xl space-y-8 rounded-lg border border-line bg-surface p-5 sm:p-6"}>
      {children(error instanceof ApiError ? error.fields : {})}
      <Problem error={error} />
      <div className="flex flex-wrap gap-2">
        <Button type="submit" kind="primary" busy={busy}>
          {label}
        </Button>
        {back && <ButtonLink to={back}>{t("ui.cancel")}</ButtonLink>}
      </div>
    </form>
  );
}

type Answer<T> = Promise<{ data?: T; error?: unknown; response: Response }>;

interface VersionedProps<T, F> {
  back?: string;
  /** The fields that the form shows, as the API names them. */
  fields: readonly (keyof T & keyof F & string)[];
  /** How people call a field. */
  names: (field: string) => string;
  /** How they read a value of it, where it is no text of their own. */
  values?: (field: string, value: unknown) => string | undefined;
  read: () => Answer<T>;
  write: (patch: Partial<F>, version: string) => Answer<T>;
  saved: () => Promise<void>;
  head: (object: T) => ReactNode;
  children: (value: F, onChange: (v: F) => void, problems: Record<string, string>, object: T) => ReactNode;
}

/** Changes an object of which somebody else may change the same: it sends only
 * what was changed here, with the version that was read. On a 412 it shows
 * both versions, and the person decides. */
export function VersionedForm<T extends object, F extends object>(p: VersionedProps<T, F>) {
  const { t } = useTranslation();
  const [read, setRead] = useState<{ object: T; version: string }>();
  const [value, setValue] = useState<F>();
  const [theirs, setTheirs] = useState<{ object: T; version: string }>();

  const fetchOne = async () => {
    const { data, response } = await answer(p.read());
    return { object: data, version: response.headers.get("ETag") ?? "" };
  };
  const { error, refetch } = useQuery({
    queryKey: ["form", location.pathname],
    gcTime: 0,
    staleTime: Infinity,
    queryFn: async () => {
      const got = await fetchOne();
      setRead(got);
      setValue(pick<F>(got.object, p.fields));
      return got;
    },
  });
  if (error) return <Unread error={error} retry={() => void refetch()} back={{ to: "/", label: t("overview.title") }} />;
  if (!read || !value) return <Loading />;

  const show = (field: string, v: unknown) => p.values?.(field, v) ?? (typeof v === "string" ? v : JSON.stringify(v));
  const changed = (from: T) => p.fields.filter((f) => JSON.stringify(value[f]) !== JSON.stringify(from[f]));
  return (
    <>
      {p.head(read.object)}
      <EditForm
        back={p.back}
        label={t("ui.save")}
        save={async () => {
          setTheirs(undefined);
          const mine = changed(read.object);
          if (mine.length > 0) {
            try {
              await answer(p.write(pick<Partial<F>>(value, mine), read.version));
            } catch (e) {
              if (!(e instanceof ApiError) || e.status !== 412) throw e;
              setTheirs(await fetchOne());
              return;
            }
          }
          await p.saved();
          if (!p.back) setRead(await fetchOne()); // the form stays, with what it has saved
        }}
      >
        {(problems) => (
          <>
            {p.children(value, setValue, problems, read.object)}
            {theirs && (
              <Alert tone="warn" title={t("ui.conflict")}>
                <p>{t("ui.conflictLead")}</p>
                <table className="mt-3 w-full text-left">
                  <thead>
                    <tr>
                      {["field", "theirs", "yours"].map((c) => (
                        <th key={c} scope="col" className="py-1 pr-3 font-medium">
                          {t(`ui.${c}`)}
                        </th>
                      ))}
                    </tr>
                  </thead>
                  <tbody>
                    {p.fields
                      .filter((f) => JSON.stringify(value[f]) !== JSON.stringify(theirs.object[f]))
                      .map((f) => (
                        <tr key={f} className="align-top">
                          <th scope="row" className="py-1 pr-3 font-normal">
                            {p.names(f)}
                          </th>
                          <td className="name py-1 pr-3">{show(f, theirs.object[f])}</td>
                          <td className="name py-1">{show(f, value[f])}</td>
                        </tr>
                      ))}
                  </tbody>
                </table>
                <div className="mt-3 flex flex-wrap gap-2">
                  <Button
                    onClick={() => {
                      // Their state, with what was changed here on top.
                      setValue({ ...pick<F>(theirs.object, p.fields), ...pick<Partial<F>>(value, changed(read.object)) });
                      setRead(theirs);
                      setTheirs(undefined);
                    }}
                  >
                    {t("ui.keepMine")}
                  </Button>
                  <Button
                    onClick={() => {
                      setValue(pick<F>(theirs.object, p.fields));
                      setRead(theirs);
                      setTheirs(undefined);
                    }}
                  >
                    {t("ui.takeTheirs")}
                  </Button>
                </div>
              </Alert>
            )}
          </>
        )}
      </EditForm>
    </>
  );
}

function pick<F>(from: object, fields: readonly string[]): F {
  return Object.fromEntries(fields.map((f) => [f, (from as Record<string, unknown>)[f]])) as F;
}
