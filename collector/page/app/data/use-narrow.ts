/**
 * Is the page as narrow as a phone?
 *
 * @module
 */
import { useEffect, useState } from "preact/hooks";

const narrow = matchMedia("(max-width: 720px)");

/** True on a phone; the style sheet has the same limit. */
export function useNarrow(): boolean {
  const [is, setIs] = useState(narrow.matches);
  useEffect(() => {
    const listener = (): void => setIs(narrow.matches);
    narrow.addEventListener("change", listener);
    return () => narrow.removeEventListener("change", listener);
  }, []);
  return is;
}
