/**
 * Histograms over time: how many measurements fell where, with percentiles as lines.
 *
 * @module
 */
import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import type { MetricSeries, MetricStream } from "../../../store/queries/types.ts";
import type { Range } from "../logic/address.ts";
import { type Column, extent, heatColumns } from "../logic/heat.ts";
import { mergeBuckets, quantile } from "../logic/histogram.ts";
import { count, measured } from "../logic/numbers.ts";
import { clockTime, powersOfTen } from "../logic/time.ts";
import { colour } from "../data/theme.ts";
import { axis, Chart, labelWidth, timeAxis, type uPlot } from "./chart.tsx";
import { exemplarDots } from "./exemplars.tsx";
import { Legend } from "./legend.tsx";
import { zoomIn } from "./line-chart.tsx";

const COLUMNS = 240;
const LINES = [["p50", "line-50"], ["p95", "line-95"], ["p99", "line-99"]] as const;

/** The lowest value a logarithmic axis shows for buckets that begin at or below zero. */
function floorOf(low: number, high: number): number {
  return low > 0 ? low : high / 1e4;
}

function paint(chart: uPlot, columns: readonly Column[], low: number): void {
  const { ctx, bbox } = chart;
  let most = 1;
  for (const { buckets } of columns) for (const { count } of buckets) most = Math.max(most, count);
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.fillStyle = colour("heat");
  const bottom = bbox.top + bbox.height;
  for (const column of columns) {
    const x = chart.valToPos(column.fromMs / 1000, "x", true);
    const width = chart.valToPos(column.toMs / 1000, "x", true) - x;
    for (const { from, to, count } of column.buckets) {
      if (count === 0) continue;
      const top = to === Infinity ? bbox.top : chart.valToPos(Math.max(to, low), "y", true);
      const base = from <= low ? bottom : chart.valToPos(from, "y", true);
      // By its root: what is rare is what one looks for.
      ctx.globalAlpha = 0.08 + 0.92 * Math.sqrt(count / most);
      ctx.fillRect(x, top, Math.max(1, width - (width > 4 ? 1 : 0)), Math.max(1, base - top));
    }
  }
  ctx.restore();
}

/** The heat map. */
export function HeatMap({ stream, list, hidden, range }: {
  stream: MetricStream;
  list: readonly MetricSeries[];
  hidden: ReadonlySet<number>;
  range: Range;
}): JSX.Element {
  const [at, setAt] = useState<number | null>(null);
  const shown = useMemo(() => list.filter(({ id }) => !hidden.has(id)), [list, hidden]);
  const { fromMs, toMs } = range;
  const columns = useMemo(
    () => heatColumns(shown, stream, fromMs, toMs, COLUMNS).filter(({ count }) => count > 0),
    [shown, stream, fromMs, toMs],
  );
  const data = useMemo<uPlot.AlignedData>(() => [
    columns.map((column) => (column.fromMs + column.toMs) / 2000),
    columns.map(({ p50 }) => p50),
    columns.map(({ p95 }) => p95),
    columns.map(({ p99 }) => p99),
  ], [columns]);
  const dots = useMemo(() => exemplarDots(shown), [shown]);
  const { unit } = stream;
  const options = useMemo(() => (): Omit<uPlot.Options, "width" | "height"> => {
    const bounds = extent(columns) ?? { low: 1, high: 10 };
    const negative = columns.some(({ buckets }) =>
      buckets.some(({ from, count }) => count > 0 && from < 0 && from !== -Infinity)
    );
    const low = negative ? bounds.low : floorOf(bounds.low, bounds.high);
    return {
      scales: {
        x: { time: true, range: () => [fromMs / 1000, toMs / 1000] },
        y: {
          distr: negative ? 1 : 3,
          range: () => [negative ? low : low * 0.9, bounds.high * (negative ? 1.05 : 1.2)],
        },
      },
      axes: [
        timeAxis(),
        axis({
          size: labelWidth,
          ...(negative ? {} : {
            splits: (_: uPlot, __: number, least: number, most: number) => powersOfTen(least, most),
          }),
          values: (_, values) => values.map((value) => value === null ? "" : measured(value, unit)),
        }),
      ],
      legend: { show: false },
      cursor: { drag: { x: true, y: false, setScale: false, dist: 6 }, points: { show: false } },
      series: [
        {},
        ...LINES.map(([, name]) => ({
          stroke: colour(name),
          width: 2,
          spanGaps: true,
          points: { show: columns.length < 3 },
        })),
      ],
      hooks: {
        drawAxes: [(chart) => paint(chart, columns, low)],
        draw: [dots.draw],
        ready: [dots.listen],
        setSelect: [zoomIn],
        setCursor: [(chart) => setAt(chart.cursor.idx ?? null)],
      },
    };
  }, [columns, dots, fromMs, toMs, unit]);
  const column = at === null ? undefined : columns[at];
  const all = useMemo(() => mergeBuckets(columns.map(({ buckets }) => buckets)), [columns]);
  const said = (share: number, name: "p50" | "p95" | "p99"): string => {
    const value = column ? column[name] : quantile(all, share);
    return Number.isFinite(value) ? measured(value, unit) : "–";
  };
  return (
    <>
      <p class="hint percentiles">
        <span>{column ? clockTime(column.toMs) : "whole time"}</span>
        <span>
          {count(column ? column.count : all.reduce((sum, { count }) => sum + count, 0))}{" "}
          measurements
        </span>
        {LINES.map(([name, line]) => (
          <span key={name}>
            <i class={`sample ${line}`}></i> {name} <b>{said(Number(name.slice(1)) / 100, name)}</b>
          </span>
        ))}
        <span>
          <i class="sample exemplar-sample"></i> exemplar
        </span>
      </p>
      <figure class="panel">
        <Chart
          options={options}
          data={data}
          height={300}
          label={`Heat map of ${stream.name.slice(0, 100)}: 50th percentile ${
            said(0.5, "p50")
          }, 95th ${said(0.95, "p95")}, 99th ${said(0.99, "p99")}`}
        />
      </figure>
      <Legend list={list} hidden={hidden} plain />
    </>
  );
}
