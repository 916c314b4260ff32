/**
 * Log records over time.
 *
 * @module
 */
import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import type { LogHistogram } from "../../../store/queries/types.ts";
import type { QueryValue, Range } from "../logic/address.ts";
import { count } from "../logic/numbers.ts";
import { SEVERITIES } from "../logic/severity.ts";
import { clockTime, dateTime } from "../logic/time.ts";
import { question, useAnswer } from "../data/api.ts";
import { change } from "../data/use-address.ts";
import { Failed } from "./states.tsx";

const WIDTH = 1000;
const HEIGHT = 60;

/** Bars by severity; a click on one or a drag over several zooms in. */
export function LogTimes({ conditions, range, version }: {
  conditions: Readonly<Record<string, QueryValue>>;
  range: Range;
  version: unknown;
}): JSX.Element | null {
  const { data, error } = useAnswer<LogHistogram>(
    question(["logs", "histogram"], {
      ...conditions,
      from: Math.floor(range.fromMs),
      to: Math.ceil(range.toMs),
      steps: 80,
    }),
    version,
  );
  const [drag, setDrag] = useState<readonly [number, number] | null>(null);
  const [at, setAt] = useState<number | null>(null);
  const holder = useRef<HTMLDivElement>(null);
  if (error !== undefined) return <Failed error={error} />;
  const steps = data?.steps ?? [];
  const sums = steps.map((step) => step.reduce((sum, value) => sum + value, 0));
  const most = Math.max(1, ...sums);
  const width = WIDTH / Math.max(steps.length, 1);
  const total = sums.reduce((sum, value) => sum + value, 0);
  const step = (event: PointerEvent): number => {
    const box = holder.current!.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    return Math.min(steps.length - 1, Math.max(0, Math.floor(share * steps.length)));
  };
  const chosen = drag ? [Math.min(...drag), Math.max(...drag)] as const : null;
  const said = at !== null && data && steps[at]
    ? `${clockTime(data.fromMs + at * data.stepMs)}: ${count(sums[at]!)} ${
      SEVERITIES.map((name, i) => steps[at]![i]! > 0 ? `${name} ${count(steps[at]![i]!)}` : "")
        .filter((part) => part !== "").join(", ")
    }`
    : `${count(total)} records`;
  return (
    <figure class="panel log-times">
      <div
        class="bars"
        ref={holder}
        onPointerDown={(event) => {
          if (event.button !== 0 || steps.length === 0) return;
          event.currentTarget.setPointerCapture(event.pointerId);
          setDrag([step(event), step(event)]);
        }}
        onPointerMove={(event) => {
          if (steps.length === 0) return;
          setAt(step(event));
          if (drag) setDrag([drag[0], step(event)]);
        }}
        onPointerLeave={() => setAt(null)}
        onPointerUp={() => {
          if (chosen && data) {
            change({
              from: Math.floor(data.fromMs + chosen[0] * data.stepMs),
              to: Math.ceil(data.fromMs + (chosen[1] + 1) * data.stepMs),
              last: undefined,
            }, true);
          }
          setDrag(null);
        }}
        onPointerCancel={() => setDrag(null)}
      >
        <svg
          viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
          preserveAspectRatio="none"
          role="img"
          aria-label={`${count(total)} log records over time`}
        >
          {chosen && (
            <rect
              class="chosen"
              x={chosen[0] * width}
              width={(chosen[1] - chosen[0] + 1) * width}
              y="0"
              height={HEIGHT}
            />
          )}
          {steps.map((counts, i) => {
            let below = 0;
            // The severe ones below: they stand on the line, where small numbers are seen.
            return counts.map((_, j) => counts.length - 1 - j).map((level) => {
              const value = counts[level]!;
              if (value === 0) return null;
              const height = Math.max(value / most * (HEIGHT - 2), 1);
              below += height;
              return (
                <rect
                  key={`${i} ${level}`}
                  class={SEVERITIES[level]}
                  x={i * width + 0.5}
                  width={Math.max(1, width - 1.5)}
                  y={HEIGHT - below}
                  height={height}
                />
              );
            });
          })}
        </svg>
      </div>
      <figcaption class="hint times">
        <span>{dateTime(data?.fromMs ?? range.fromMs)}</span>
        <span>{said}</span>
        <span>{clockTime(range.toMs)}</span>
      </figcaption>
    </figure>
  );
}
