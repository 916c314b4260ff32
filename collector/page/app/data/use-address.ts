/**
 * The address as state.
 *
 * @module
 */
import { useEffect, useMemo, useState } from "preact/hooks";
import {
  type Address,
  formatAddress,
  parseAddress,
  type QueryValue,
  type Range,
  rangeOf,
} from "../logic/address.ts";

const listeners = new Set<() => void>();
addEventListener("hashchange", () => listeners.forEach((listener) => listener()));

/** The address now. */
export function here(): Address {
  return parseAddress(location.hash);
}

/** Goes somewhere: a step that the browser's Back undoes. */
export function go(
  path: readonly string[],
  query: Readonly<Record<string, QueryValue>> = {},
): void {
  location.hash = formatAddress(path, query);
}

/** Changes parts of the query: `push` for what Back should undo, otherwise in place. */
export function change(query: Readonly<Record<string, QueryValue>>, push = false): void {
  const address = here();
  const next = formatAddress(address.path, { ...address.query, ...query });
  if (next === location.hash) return;
  if (push) location.hash = next;
  else {
    history.replaceState(null, "", next);
    listeners.forEach((listener) => listener());
  }
}

/** The address, and a new look when it changes. */
export function useAddress(): Address {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const listener = (): void => setHash(location.hash);
    listeners.add(listener);
    listener();
    return () => {
      listeners.delete(listener);
    };
  }, []);
  return useMemo(() => parseAddress(hash), [hash]);
}

/** The stretch of time asked for, taken anew when `version` changes. */
export function useRange(address: Address, version: unknown): Range {
  const asked = formatAddress([], {
    from: address.query.from,
    to: address.query.to,
    last: address.query.last,
  });
  return useMemo(() => rangeOf(address, Date.now()), [asked, version]);
}
