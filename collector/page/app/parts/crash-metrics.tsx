/**
 * The last measurements of a process that died, on the axis of its death.
 *
 * @module
 */
import type { JSX } from "preact";
import type { CrashReport, MetricStream } from "../../../store/queries/types.ts";
import { formatAddress } from "../logic/address.ts";
import { increase, quantile } from "../logic/histogram.ts";
import { count, measured } from "../logic/numbers.ts";
import { hasRate, ratePoints, type Sample, samples } from "../logic/rate.ts";
import { toMs } from "../logic/time.ts";
import { attributesText } from "../logic/values.ts";
import { Name } from "./text.tsx";

const HEIGHT = 30;

/** A series as samples: gauges as they are, monotonic sums per second, of histograms the p95. */
function asSamples(
  stream: MetricStream,
  points: CrashReport["metrics"][number]["series"][number]["points"],
): { rows: Sample[]; unit: string; of?: string } {
  if (stream.kind === "gauge" || (stream.kind === "sum" && !hasRate(stream))) {
    return { rows: samples(points), unit: stream.unit };
  }
  if (stream.kind === "sum") {
    const unit = stream.unit === "" || stream.unit === "1" ? "/s" : `${stream.unit}/s`;
    return { rows: ratePoints(points, stream), unit };
  }
  if (stream.kind === "summary") {
    const rows = points.map((point) => ({
      ms: toMs(point.timeNs),
      value: point.quantiles?.at(-1)?.value ?? NaN,
    }));
    return {
      rows: rows.filter(({ value }) => !Number.isNaN(value)),
      unit: stream.unit,
      of: "highest quantile",
    };
  }
  // The first cumulative point holds everything since the start: it says little of the last seconds
  // where there are others.
  const rows = points.map((point, i) => ({
    ms: toMs(point.timeNs),
    value: i === 0 && points.length > 1 && stream.temporality === "cumulative"
      ? NaN
      : quantile(increase(points[i - 1], point, stream.temporality), 0.95),
  }));
  return { rows: rows.filter(({ value }) => !Number.isNaN(value)), unit: stream.unit, of: "p95" };
}

/** A small chart of each series. */
export function CrashMetrics({ metrics, place, at, length }: {
  metrics: CrashReport["metrics"];
  place: (timeNs: string) => number;
  at: number | null;
  length: number;
}): JSX.Element {
  return (
    <section class="track" aria-labelledby="last-metrics">
      <h2 id="last-metrics">
        Metrics <span class="muted">{count(metrics.length)}</span>
      </h2>
      {metrics.length === 0 && <p class="muted">No measurement in this time.</p>}
      <ul class="crash-rows">
        {metrics.flatMap(({ stream, series }) =>
          series.slice(0, 4).map((one) => {
            const { rows, unit, of } = asSamples(stream, one.points);
            const x = (ms: number): number => {
              // `place` takes nanoseconds as text; the axis is linear, so two of its points are enough.
              const zero = toMs(one.points[0]!.timeNs);
              return place(one.points[0]!.timeNs) + (ms - zero) / length * 100;
            };
            // The trend of a gauge matters, of everything else how far from nothing it is.
            const least = Math.min(...rows.map(({ value }) => value));
            const low = stream.kind === "gauge" ? least : Math.min(0, least);
            const high = Math.max(...rows.map(({ value }) => value), low + 1e-12);
            const y = (value: number): number =>
              HEIGHT - 2 - (value - low) / (high - low) * (HEIGHT - 4);
            const near = at === null || rows.length === 0
              ? rows.at(-1)
              : rows.reduce((best, row) =>
                Math.abs(x(row.ms) - at * 100) < Math.abs(x(best.ms) - at * 100) ? row : best
              );
            const path = rows.map((row, i) =>
              `${i === 0 ? "M" : "L"}${(x(row.ms) * 10).toFixed(1)} ${y(row.value).toFixed(1)}`
            ).join("");
            const said = near ? measured(near.value, unit) : "–";
            return (
              <li key={one.id}>
                <a
                  class="crash-row metric"
                  href={formatAddress(["metrics", String(stream.id)], { last: "24h" })}
                >
                  <span class="crash-name">
                    <span>
                      <Name text={stream.name} /> {of && <span class="muted">{of}</span>}
                    </span>
                    <span class="muted">
                      <Name text={attributesText(one.attributes)} empty="" />
                    </span>
                  </span>
                  <span class="crash-bars">
                    <svg
                      viewBox={`0 0 1000 ${HEIGHT}`}
                      preserveAspectRatio="none"
                      aria-hidden="true"
                    >
                      {rows.length === 1
                        ? (
                          <circle
                            class="spark-mark-quiet"
                            cx={x(rows[0]!.ms) * 10}
                            cy={HEIGHT / 2}
                            r="3"
                          />
                        )
                        : <path class="spark-line" d={path} />}
                    </svg>
                    <b class="metric-value">{said}</b>
                  </span>
                </a>
              </li>
            );
          })
        )}
      </ul>
    </section>
  );
}
