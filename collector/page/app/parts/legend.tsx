/**
 * The series of a chart, which can be hidden.
 *
 * @module
 */
import type { JSX } from "preact";
import type { MetricSeries } from "../../../store/queries/types.ts";
import { count } from "../logic/numbers.ts";
import { attributesText } from "../logic/values.ts";
import { change } from "../data/use-address.ts";
import { Name } from "./text.tsx";

/** Series beyond this many are not drawn: nobody could tell them apart. */
export const DRAWN = 50;

/** The class of the colour of the series at a place of the list. */
export function seriesColour(at: number): string {
  return `c${at % 10}`;
}

/** A button for each series; with Shift (or by "only") all others are hidden. */
export function Legend({ list, hidden, values, plain }: {
  list: readonly MetricSeries[];
  hidden: ReadonlySet<number>;
  /** What a series had last, by place. */
  values?: readonly string[];
  /** Without colours, where series share them. */
  plain?: boolean;
}): JSX.Element {
  const drawn = list.slice(0, DRAWN);
  const set = (ids: Iterable<number>): void => change({ off: [...ids].join(",") });
  return (
    <>
      <ul class="legend" aria-label="Series">
        {drawn.map((series, at) => {
          const on = !hidden.has(series.id);
          const text = attributesText(series.attributes);
          return (
            <li key={series.id}>
              <button
                type="button"
                aria-pressed={on}
                onClick={(event) => {
                  if (event.shiftKey) {
                    set(list.filter(({ id }) => id !== series.id).map(({ id }) => id));
                    return;
                  }
                  const next = new Set(hidden);
                  if (!next.delete(series.id)) next.add(series.id);
                  set(next);
                }}
              >
                {!plain && <span class={`dot ${seriesColour(at)}`} aria-hidden="true"></span>}
                <Name text={text} empty="(no attributes)" />
                {values && <b>{values[at]}</b>}
              </button>
            </li>
          );
        })}
      </ul>
      <p class="hint">
        {list.length > 1 && "Click shows or hides a series, Shift and click shows it alone. "}
        {hidden.size > 0 && (
          <button type="button" class="small" onClick={() => set([])}>Show all series</button>
        )}
        {list.length > DRAWN && `The first ${DRAWN} of ${count(list.length)} series are drawn.`}
      </p>
    </>
  );
}
