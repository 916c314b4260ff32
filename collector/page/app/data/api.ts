/**
 * Questions to the API.
 *
 * @module
 */
import { useEffect, useState } from "preact/hooks";
import { formatQuery, type QueryValue } from "../logic/address.ts";

/** Why a question has no answer. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  /** The status of the response; 0 when none came. */
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** The path of a question: parts are encoded, names without a value left out. */
export function question(
  parts: readonly (string | number)[],
  query: Readonly<Record<string, QueryValue>> = {},
): string {
  const text = formatQuery(query);
  const path = parts.map((part) => encodeURIComponent(part)).join("/");
  return `/api/${path}${text === "" ? "" : `?${text}`}`;
}

/** Asks; rejects with an {@linkcode ApiError}. */
export async function ask<T>(path: string, signal?: AbortSignal): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, { signal: signal ?? null });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError("The collector does not answer. Is it still running?", 0);
  }
  if (response.ok) return await response.json() as T;
  const body = await response.json().catch(() => undefined) as { error?: unknown } | undefined;
  const reason = typeof body?.error === "string" ? body.error : `status ${response.status}`;
  throw new ApiError(
    response.status === 401
      ? "This page is no longer signed in. Open the address that the collector printed."
      : `The collector could not answer: ${reason}`,
    response.status,
  );
}

/** An answer, as far as it is there. */
export interface Answer<T> {
  readonly data: T | undefined;
  readonly error: string | undefined;
  /** There is no such thing. */
  readonly missing?: boolean;
  readonly loading: boolean;
}

/**
 * The answer to a question, asked again when its path or `version` changes. The answer before stays
 * until the next is there when only `version` changed, so that live views don't flicker. A null path
 * asks nothing.
 */
export function useAnswer<T>(path: string | null, version: unknown = 0): Answer<T> {
  const [answer, setAnswer] = useState<Answer<T> & { path: string | null }>(
    { data: undefined, error: undefined, loading: path !== null, path },
  );
  useEffect(() => {
    if (path === null) {
      setAnswer({ data: undefined, error: undefined, loading: false, path });
      return;
    }
    const control = new AbortController();
    setAnswer((before) =>
      before.path === path ? before : { data: before.data, error: undefined, loading: true, path }
    );
    ask<T>(path, control.signal).then(
      (data) => setAnswer({ data, error: undefined, loading: false, path }),
      (error: Error) => {
        if (control.signal.aborted) return;
        const missing = error instanceof ApiError && error.status === 404;
        setAnswer({ data: undefined, error: error.message, missing, loading: false, path });
      },
    );
    return () => control.abort();
  }, [path, version]);
  return answer;
}
