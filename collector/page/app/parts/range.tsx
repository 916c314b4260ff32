/**
 * The choice of a stretch of time.
 *
 * @module
 */
import type { JSX } from "preact";
import { LASTS, type Range } from "../logic/address.ts";
import { dateTime, duration } from "../logic/time.ts";
import { change } from "../data/use-address.ts";

/** A list of lengths, and the stretch itself when it is fixed. */
export function RangePicker({ range }: { range: Range }): JSX.Element {
  return (
    <div class="range">
      <label>
        <span class="hidden">Time range</span>
        <select
          value={range.last === "" ? "fixed" : range.last}
          onChange={({ currentTarget: { value } }) => {
            if (value === "fixed") {
              change(
                { from: Math.floor(range.fromMs), to: Math.ceil(range.toMs), last: undefined },
                true,
              );
            } else change({ from: undefined, to: undefined, last: value }, true);
          }}
        >
          {Object.entries(LASTS).map(([name, { label }]) => (
            <option key={name} value={name}>{label}</option>
          ))}
          <option value="fixed">{range.last === "" ? "Fixed time" : "Keep this time"}</option>
        </select>
      </label>
      {range.last === "" && (
        <span class="range-text">
          {dateTime(range.fromMs)} + {duration((range.toMs - range.fromMs) * 1e6)}
          <button
            type="button"
            class="small"
            aria-label="Widen the time range"
            onClick={() => {
              const more = (range.toMs - range.fromMs) / 2;
              change({
                from: Math.floor(range.fromMs - more),
                to: Math.ceil(range.toMs + more),
              }, true);
            }}
          >
            widen
          </button>
        </span>
      )}
    </div>
  );
}
