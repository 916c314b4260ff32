/**
 * Long answers, page by page.
 *
 * @module
 */
import { useEffect, useState } from "preact/hooks";
import type { Paged } from "../../../store/queries/types.ts";
import { type Answer, ask, useAnswer } from "./api.ts";

/** The rows that were loaded, and how to get more. */
export interface Pages<T> extends Answer<readonly T[]> {
  readonly next: string | null;
  readonly more: () => void;
}

/** Pages of a question that takes `cursor`; begins anew when the question or `version` changes. */
export function usePages<T>(path: string, version: unknown): Pages<T> {
  const first = useAnswer<Paged<T>>(path, version);
  const [rest, setRest] = useState<{ rows: readonly T[]; next: string | null } | undefined>();
  const [state, setState] = useState<{ loading: boolean; error?: string }>({ loading: false });
  useEffect(() => {
    setRest(undefined);
    setState({ loading: false });
  }, [first.data]);
  const next = rest ? rest.next : first.data?.next ?? null;
  const more = (): void => {
    if (next === null || state.loading) return;
    const begun = first.data;
    setState({ loading: true });
    ask<Paged<T>>(`${path}${path.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(next)}`)
      .then(
        (page) => {
          // The question may have changed meanwhile: then this page belongs to nothing.
          setRest((before) =>
            begun === first.data
              ? { rows: [...before?.rows ?? [], ...page.rows], next: page.next }
              : before
          );
          setState({ loading: false });
        },
        (error: Error) => setState({ loading: false, error: error.message }),
      );
  };
  return {
    data: first.data && (rest ? [...first.data.rows, ...rest.rows] : first.data.rows),
    error: first.error ?? state.error,
    loading: first.loading || state.loading,
    next,
    more,
  };
}
