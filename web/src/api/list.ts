// Lists as the API pages them, with their state in the URL.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { answer, nextCursor } from "./client";

/** What of a list stands in the URL: q, sort, cursor and the page's filters. */
export type ListState = Record<string, string>;

/** Reads and writes the list's state in the URL. Writing anything but the
 * cursor goes back to the first page. */
export function useListState(): [ListState, (change: Record<string, string | undefined>) => void] {
  const search = useSearch({ strict: false }) as ListState;
  const navigate = useNavigate();
  return [
    search,
    (change) => {
      const next: ListState = {};
      for (const [k, v] of Object.entries({ ...search, cursor: undefined, ...change })) if (v) next[k] = v;
      void navigate({ to: ".", search: next as never, replace: !("cursor" in change) });
    },
  ];
}

export interface Page<T> {
  rows: T[];
  next: string; // cursor; "": this is the last page
}

/** Fetches one page. call gets the query for the API. */
export function useList<T>(key: string, state: ListState, call: (query: Record<string, unknown>) => Promise<{ data?: T[]; error?: unknown; response: Response }>, options: { limit?: number; every?: number; enabled?: boolean } = {}) {
  const query = { limit: options.limit ?? 50, ...state };
  return useQuery<Page<T>>({
    queryKey: [key, "list", query],
    queryFn: async () => {
      const { data, response } = await answer(call(query));
      return { rows: data, next: nextCursor(response) };
    },
    placeholderData: keepPreviousData,
    refetchInterval: options.every,
    enabled: options.enabled,
  });
}
