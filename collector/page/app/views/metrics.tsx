/**
 * Metric streams.
 *
 * @module
 */
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import type { MetricSeries, MetricStream } from "../../../store/queries/types.ts";
import { type Address, first, formatAddress, timeQuery } from "../logic/address.ts";
import { count } from "../logic/numbers.ts";
import { ago } from "../logic/time.ts";
import { question, useAnswer } from "../data/api.ts";
import { timeConditions } from "../data/filters.ts";
import { useVersion } from "../data/live.ts";
import { change, useRange } from "../data/use-address.ts";
import { Exemplars } from "../parts/exemplars.tsx";
import { HeatMap } from "../parts/heat-map.tsx";
import { LineChart } from "../parts/line-chart.tsx";
import { RangePicker } from "../parts/range.tsx";
import { Empty, Of } from "../parts/states.tsx";
import { Name } from "../parts/text.tsx";

const KINDS: Readonly<Record<MetricStream["kind"], string>> = {
  gauge: "gauge",
  sum: "sum",
  histogram: "histogram",
  exponentialHistogram: "exp. histogram",
  summary: "summary",
};

/** The list beside the chart of the chosen stream. */
export function MetricsView({ address, streamId }: {
  address: Address;
  streamId: string;
}): JSX.Element {
  const moving = address.query.from === undefined;
  const version = useVersion(moving, 3000);
  const streams = useAnswer<readonly MetricStream[]>(question(["metrics"]), version);
  const range = useRange(address, version);
  return (
    <>
      <div class="head">
        <h1>Metrics</h1>
        <RangePicker range={range} />
      </div>
      <Of answer={streams}>
        {(list) =>
          list.length === 0
            ? (
              <Empty title="No metrics yet.">
                <p>
                  They appear with the first measurement that is exported. The SDK records those of
                  the runtime by itself; your own come from <code>metrics.getMeter()</code> of{" "}
                  <code>@opentelemetry/api</code>.
                </p>
              </Empty>
            )
            : <Chosen address={address} list={list} streamId={streamId} range={range} />}
      </Of>
    </>
  );
}

function Chosen({ address, list, streamId, range }: {
  address: Address;
  list: readonly MetricStream[];
  streamId: string;
  range: ReturnType<typeof useRange>;
}): JSX.Element {
  const filter = first(address, "q").toLowerCase();
  const fitting = list.filter((stream) =>
    `${stream.name} ${stream.service} ${stream.description}`.toLowerCase().includes(filter)
  );
  const stream = list.find(({ id }) => String(id) === streamId) ??
    (streamId === "" ? fitting[0] : undefined);
  return (
    <div class="metrics">
      <nav class="streams" aria-label="Metric streams">
        <label class="field inline">
          <span class="hidden">Filter streams</span>
          <input
            type="search"
            placeholder="Filter"
            value={first(address, "q")}
            spellcheck={false}
            onInput={({ currentTarget }) => change({ q: currentTarget.value })}
          />
        </label>
        <p class="hint">{count(fitting.length)} of {count(list.length)}</p>
        <ul>
          {fitting.slice(0, 500).map((one) => (
            <li key={one.id}>
              <a
                href={formatAddress(["metrics", String(one.id)], {
                  ...timeQuery(address),
                  q: first(address, "q"),
                })}
                aria-current={one.id === stream?.id ? "true" : undefined}
              >
                <Name text={one.name} />
                <span class="muted">
                  <Name text={one.service} empty="(no service)" /> · {KINDS[one.kind]}
                  {one.series > 1 && ` · ${count(one.series)} series`}
                </span>
              </a>
            </li>
          ))}
        </ul>
      </nav>
      {stream
        ? <Stream key={stream.id} stream={stream} address={address} range={range} />
        : (
          <Empty title={streamId === "" ? "No stream fits." : "There is no such stream."}>
            <p>
              <a href={formatAddress(["metrics"], timeQuery(address))}>Show all streams</a>
            </p>
          </Empty>
        )}
    </div>
  );
}

function Stream({ stream, address, range }: {
  stream: MetricStream;
  address: Address;
  range: ReturnType<typeof useRange>;
}): JSX.Element {
  const series = useAnswer<readonly MetricSeries[]>(
    question(["metrics", stream.id], timeConditions(range)),
  );
  const facts = [
    KINDS[stream.kind],
    stream.kind === "gauge" || stream.kind === "summary" ? "" : stream.temporality,
    stream.monotonic ? "monotonic" : "",
    stream.unit === "" ? "" : `in ${stream.unit}`,
  ].filter((part) => part !== "");
  return (
    <section class="stream" aria-labelledby="stream">
      <h2 id="stream">
        <Name text={stream.name} />
      </h2>
      {stream.description !== "" && (
        <p>
          <Name text={stream.description} />
        </p>
      )}
      <p class="muted">
        <Name text={stream.service} empty="(no service)" /> · {facts.join(", ")} ·{" "}
        <Name text={stream.scope} empty="(no scope)" /> · last point{" "}
        {ago(stream.lastMs, Date.now())}
      </p>
      <Of answer={series}>
        {(list) =>
          list.every(({ points }) => points.length === 0)
            ? (
              <Empty title="No points in this time.">
                <p>
                  <button
                    type="button"
                    onClick={() => change({ from: undefined, to: undefined, last: "7d" }, true)}
                  >
                    Show the last 7 days
                  </button>
                </p>
              </Empty>
            )
            : <Charts stream={stream} list={list} address={address} range={range} />}
      </Of>
    </section>
  );
}

function Charts({ stream, list, address, range }: {
  stream: MetricStream;
  list: readonly MetricSeries[];
  address: Address;
  range: ReturnType<typeof useRange>;
}): JSX.Element {
  const off = first(address, "off");
  const hidden = useMemo(
    () => new Set(off === "" ? [] : off.split(",").map(Number)),
    [off],
  );
  const histogram = stream.kind === "histogram" || stream.kind === "exponentialHistogram";
  const shared = { stream, list, hidden, range };
  return (
    <>
      {histogram
        ? <HeatMap {...shared} />
        : <LineChart {...shared} mode={first(address, "mode") === "value" ? "value" : "rate"} />}
      <Exemplars stream={stream} list={list} />
    </>
  );
}
