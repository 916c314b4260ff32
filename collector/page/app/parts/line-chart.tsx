/**
 * Gauges, sums and summaries as lines.
 *
 * @module
 */
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import type { MetricSeries, MetricStream } from "../../../store/queries/types.ts";
import type { Range } from "../logic/address.ts";
import { count, measured } from "../logic/numbers.ts";
import { hasRate, ratePoints, type Sample, samples } from "../logic/rate.ts";
import { toMs } from "../logic/time.ts";
import { colour } from "../data/theme.ts";
import { change } from "../data/use-address.ts";
import { axis, Chart, labelWidth, timeAxis, uPlot } from "./chart.tsx";
import { exemplarDots } from "./exemplars.tsx";
import { DRAWN, Legend, seriesColour } from "./legend.tsx";

/** The lines of a series; a summary has one for each of its quantiles. */
function linesOf(series: MetricSeries, stream: MetricStream, rate: boolean): Sample[][] {
  if (stream.kind !== "summary") {
    return [rate ? ratePoints(series.points, stream) : samples(series.points)];
  }
  const quantiles = series.points.at(-1)?.quantiles ?? [];
  return quantiles.map(({ quantile }) =>
    series.points.map((point) => ({
      ms: toMs(point.timeNs),
      value: point.quantiles?.find((one) => one.quantile === quantile)?.value ?? NaN,
    }))
  );
}

/** Lines of several series on one axis of time. */
export function LineChart({ stream, list, hidden, range, mode }: {
  stream: MetricStream;
  list: readonly MetricSeries[];
  hidden: ReadonlySet<number>;
  range: Range;
  mode: "value" | "rate";
}): JSX.Element {
  const rate = hasRate(stream) && mode === "rate";
  const unit = rate
    ? (stream.unit === "" || stream.unit === "1" ? "/s" : `${stream.unit}/s`)
    : stream.unit;
  const lines = useMemo(
    () =>
      list.slice(0, DRAWN).flatMap((series, at) =>
        linesOf(series, stream, rate).map((rows) => ({ series, at, rows }))
      ),
    [list, stream, rate],
  );
  const data = useMemo(() => {
    const tables = lines.map(({ series, rows }): uPlot.AlignedData => {
      const on = !hidden.has(series.id);
      return [rows.map(({ ms }) => ms / 1000), rows.map(({ value }) => on ? value : null)];
    });
    return tables.length > 1 ? uPlot.join(tables) : tables[0] ?? [[], []];
  }, [lines, hidden]);
  const shape = lines.map(({ at }) => at).join();
  const { fromMs, toMs: untilMs } = range;
  const dots = useMemo(() => exemplarDots(rate ? [] : list.filter(({ id }) => !hidden.has(id))), [
    list,
    hidden,
    rate,
  ]);
  const options = useMemo(() => (): Omit<uPlot.Options, "width" | "height"> => ({
    scales: {
      x: { time: true, range: () => [fromMs / 1000, untilMs / 1000] },
      y: {
        range: (_, min, max) => {
          if (min === null || max === null) return [0, 1];
          const low = Math.min(0, min);
          const high = Math.max(max, low === 0 && max <= 0 ? 1 : max);
          return [low, high + (high - low) * 0.06 || 1];
        },
      },
    },
    axes: [
      timeAxis(),
      axis({
        size: labelWidth,
        values: (_, values) => values.map((value) => measured(value, unit)),
      }),
    ],
    legend: { show: false },
    cursor: { drag: { x: true, y: false, setScale: false, dist: 6 } },
    series: [
      {},
      ...shape.split(",").map((at) => ({
        stroke: colour(seriesColour(Number(at))),
        width: 1.5,
        spanGaps: true,
        points: { size: 4 },
      })),
    ],
    hooks: {
      setSelect: [zoomIn],
      draw: [dots.draw],
      ready: [dots.listen],
    },
  }), [fromMs, untilMs, shape, unit, dots]);
  const values = list.slice(0, DRAWN).map((_, at) => {
    const last = lines.find((line) => line.at === at)?.rows.at(-1);
    return last ? measured(last.value, unit) : "–";
  });
  return (
    <>
      {hasRate(stream) && (
        <div class="toggle" role="group" aria-label="What is drawn">
          {(["rate", "value"] as const).map((one) => (
            <button
              key={one}
              type="button"
              aria-pressed={mode === one}
              onClick={() => change({ mode: one })}
            >
              {one === "rate"
                ? "Per second"
                : stream.temporality === "delta"
                ? "Per interval"
                : "Total"}
            </button>
          ))}
        </div>
      )}
      <figure class="panel">
        <Chart
          options={options}
          data={data}
          height={280}
          label={`${count(list.length)} series of ${stream.name.slice(0, 100)} over time`}
        />
      </figure>
      <Legend list={list} hidden={hidden} values={values} />
    </>
  );
}

/** A drag in a chart asks for its stretch of time. */
export function zoomIn(chart: uPlot): void {
  const { left, width } = chart.select;
  if (width < 4) return;
  change({
    from: Math.floor(chart.posToVal(left, "x") * 1000),
    to: Math.ceil(chart.posToVal(left + width, "x") * 1000),
    last: undefined,
  }, true);
}
