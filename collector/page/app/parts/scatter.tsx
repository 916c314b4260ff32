/**
 * Spans by start and duration, in which a rectangle can be selected.
 *
 * @module
 */
import type { JSX } from "preact";
import { useMemo, useRef } from "preact/hooks";
import type { Span, SpanPoint } from "../../../store/queries/types.ts";
import type { Range } from "../logic/address.ts";
import { count } from "../logic/numbers.ts";
import { duration, powersOfTen } from "../logic/time.ts";
import { ask, question, useAnswer } from "../data/api.ts";
import { colour } from "../data/theme.ts";
import { change, go } from "../data/use-address.ts";
import { axis, Chart, timeAxis, type uPlot } from "./chart.tsx";
import { Failed } from "./states.tsx";

/** A duration with its unit and no space, exact enough to be asked for again. */
function typed(ns: number): string {
  return ns >= 59e9 ? `${(ns / 1e9).toFixed(1)}s` : duration(ns).replace(" ", "");
}

/** The chart; a click on a dot opens its trace. */
export function Scatter({ path, version, range }: {
  path: string;
  version: unknown;
  range: Range;
}): JSX.Element | null {
  const { data: points, error } = useAnswer<readonly SpanPoint[]>(path, version);
  const sorted = useMemo(
    () => [...points ?? []].sort((a, b) => a.startMs - b.startMs),
    [points],
  );
  const current = useRef(sorted);
  current.current = sorted;
  const data = useMemo<uPlot.AlignedData>(() => [
    sorted.map(({ startMs }) => startMs / 1000),
    sorted.map(({ error, durationNs }) => error ? null : Math.max(durationNs, 1)),
    sorted.map(({ error, durationNs }) => error ? Math.max(durationNs, 1) : null),
  ], [sorted]);
  const { fromMs, toMs } = range;
  const options = useMemo(() => (): Omit<uPlot.Options, "width" | "height"> => ({
    scales: {
      x: { time: true, range: () => [fromMs / 1000, toMs / 1000] },
      y: {
        distr: 3,
        range: (_, min, max) =>
          min === null || min > max
            ? [1e5, 1e9]
            : [10 ** Math.floor(Math.log10(min)), 10 ** Math.ceil(Math.log10(max * 1.01))],
      },
    },
    axes: [
      timeAxis(),
      axis({
        size: 64,
        splits: (_, __, low, high) => powersOfTen(low, high),
        values: (_, values) => values.map((value) => value === null ? "" : duration(value)),
      }),
    ],
    legend: { show: false },
    cursor: { drag: { x: true, y: true, setScale: false, dist: 6 }, points: { show: false } },
    series: [
      {},
      { paths: () => null, points: { show: true, size: 4, width: 0, fill: colour("point") } },
      { paths: () => null, points: { show: true, size: 5, width: 0, fill: colour("bad") } },
    ],
    hooks: {
      setSelect: [(chart) => {
        const { left, top, width, height } = chart.select;
        if (width < 4 || height < 4) return;
        const time = (at: number): number => chart.posToVal(at, "x") * 1000;
        const value = (at: number): number => chart.posToVal(at, "y");
        change({
          from: Math.floor(time(left)),
          to: Math.ceil(time(left + width)),
          last: undefined,
          min: typed(value(top + height)),
          max: typed(value(top)),
        }, true);
      }],
      ready: [(chart) => {
        let down: [number, number] | undefined;
        chart.over.addEventListener(
          "mousedown",
          ({ clientX, clientY }) => down = [clientX, clientY],
        );
        chart.over.addEventListener("click", ({ clientX, clientY }) => {
          if (!down || Math.hypot(clientX - down[0], clientY - down[1]) > 4) return;
          const box = chart.over.getBoundingClientRect();
          const [x, y] = [clientX - box.left, clientY - box.top];
          let nearest: SpanPoint | undefined;
          let least = 10;
          for (const point of current.current) {
            const distance = Math.hypot(
              chart.valToPos(point.startMs / 1000, "x") - x,
              chart.valToPos(Math.max(point.durationNs, 1), "y") - y,
            );
            if (distance < least) [least, nearest] = [distance, point];
          }
          if (!nearest) return;
          ask<Span>(question(["spans", nearest.id])).then(
            ({ traceId, spanId }) => go(["traces", traceId], { span: spanId }),
            () => {}, // It was removed meanwhile: there is nothing to open.
          );
        });
      }],
    },
  }), [fromMs, toMs]);
  if (error !== undefined) return <Failed error={error} />;
  return (
    <figure class="panel">
      <Chart
        options={options}
        data={data}
        height={170}
        label={`${count(sorted.length)} spans by start and duration, ${
          count(sorted.filter(({ error }) => error).length)
        } with errors`}
      />
      <figcaption class="hint">
        Drag a rectangle to search in it; click a dot to open its trace.
        {sorted.length >= 5000 && " The newest 5,000 spans are drawn."}
      </figcaption>
    </figure>
  );
}
