/**
 * What a view shows when it has nothing else to show.
 *
 * @module
 */
import type { ComponentChildren, JSX } from "preact";
import type { Answer } from "../data/api.ts";

/** Nothing there: what to do about it. */
export function Empty({ title, children }: {
  title: string;
  children?: ComponentChildren;
}): JSX.Element {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  );
}

/** An answer that did not come. */
export function Failed({ error }: { error: string }): JSX.Element {
  return <p class="failed" role="alert">{error}</p>;
}

/** Shows an answer once it is there, and until then that it is not. */
export function Of<T>({ answer, children }: {
  answer: Answer<T>;
  children: (data: T) => ComponentChildren;
}): JSX.Element {
  if (answer.error !== undefined) return <Failed error={answer.error} />;
  if (answer.data === undefined) return <p class="loading" role="status">Loading…</p>;
  return <div class={answer.loading ? "stale" : "fresh"}>{children(answer.data)}</div>;
}
