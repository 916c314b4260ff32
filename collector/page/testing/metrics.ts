/**
 * Metric streams of the made-up shop, of every kind.
 *
 * @module
 */
import type {
  MetricPoint,
  MetricSeries,
  MetricStream,
  Resource,
  Span,
} from "../../store/queries/types.ts";
import { attributes, HOSTILE } from "./data.ts";
import { type Random, tailed } from "./random.ts";

/** A stream with its points. */
export interface FakeStream {
  readonly stream: MetricStream;
  readonly series: MetricSeries[];
}

const BOUNDS = [1, 2.5, 5, 10, 25, 50, 75, 100, 250, 500, 1000, 2500];

/** Makes them: a point each 10 s for the last 50 minutes. */
export function makeMetrics(
  random: Random,
  resources: readonly Resource[],
  nowMs: number,
  deathMs: number,
  spans: readonly Span[],
): FakeStream[] {
  const out: FakeStream[] = [];
  let seriesId = 1;
  const ns = (ms: number): string => String(BigInt(Math.round(ms)) * 1_000_000n);
  const add = (
    resource: Resource,
    facts: Partial<MetricStream> & Pick<MetricStream, "name" | "kind">,
    sets: readonly Record<string, string>[],
    point: (at: number, set: number, startMs: number) => Omit<MetricPoint, "timeNs" | "startNs">,
  ): void => {
    const end = resource.service === "checkout" ? deathMs : nowMs;
    const begin = nowMs - 50 * 60_000;
    const series = sets.map((set, i): MetricSeries => {
      const points: MetricPoint[] = [];
      const step = resource.service === "checkout" ? 5000 : 10_000;
      for (let at = begin; at <= end; at += step) {
        points.push({ timeNs: ns(at), startNs: ns(begin - 1000), ...point(at, i, begin) });
      }
      return { id: seriesId++, attributes: attributes(set), points };
    });
    out.push({
      stream: {
        id: out.length + 1,
        description: "",
        unit: "1",
        temporality: "cumulative",
        monotonic: false,
        service: resource.service,
        resourceId: resource.id,
        scope: "shop/runtime",
        series: series.length,
        lastMs: end,
        ...facts,
      },
      series,
    });
  };
  const routes = ["/items", "/checkout", "/health"].map((route) => ({ "http.route": route }));
  const slow = spans.filter(({ durationNs, parentSpanId }) =>
    durationNs > 2e8 && parentSpanId === ""
  );
  for (
    const resource of resources.filter(({ service }) => ["shop-web", "checkout"].includes(service))
  ) {
    add(
      resource,
      { name: "process.memory.usage", kind: "gauge", unit: "By", description: "Resident memory" },
      [{}],
      (at) => ({
        value: 9e7 + 5e7 * Math.sin(at / 300_000) ** 2 + random() * 2e6 +
          (resource.service === "checkout" && at > deathMs - 60_000
            ? (at - deathMs + 60_000) * 4000
            : 0),
      }),
    );
    const totals = [0, 0, 0];
    add(
      resource,
      { name: "http.server.requests", kind: "sum", monotonic: true, unit: "{request}" },
      routes,
      (at, set) => ({
        value: totals[set] = totals[set]! +
          Math.round((3 + set * 4) * (1.2 + Math.sin(at / 200_000 + set)) * 10 * random()),
      }),
    );
    const counts = routes.map(() => new Array<number>(BOUNDS.length + 1).fill(0));
    add(
      resource,
      {
        name: "http.server.request.duration",
        kind: "histogram",
        unit: "ms",
        description: "Duration of HTTP server requests",
      },
      routes,
      (at, set) => {
        const own = counts[set]!;
        for (let i = 0; i < 40; i++) {
          const ms = tailed(random, [12, 120, 1.5][set]! * (1 + 0.6 * Math.sin(at / 400_000)));
          own[
            BOUNDS.findIndex((bound) => ms <= bound) < 0
              ? BOUNDS.length
              : BOUNDS.findIndex((bound) => ms <= bound)
          ]!++;
        }
        const exemplar = random() < 0.06 && set === 1
          ? slow[Math.floor(random() * slow.length)]
          : undefined;
        return {
          bounds: BOUNDS,
          counts: [...own],
          count: own.reduce((a, b) => a + b, 0),
          sum: 1,
          ...(exemplar && {
            exemplars: [{
              timeNs: ns(at - 3000),
              value: exemplar.durationNs / 1e6,
              traceId: exemplar.traceId,
              spanId: exemplar.spanId,
              attributes: attributes({ "customer.id": "77" }),
            }],
          }),
        };
      },
    );
  }
  const web = resources[0]!;
  add(
    web,
    { name: "queue.wait", kind: "exponentialHistogram", unit: "s", temporality: "delta" },
    [{ queue: "mail" }],
    () => {
      const bucket = new Array<number>(24).fill(0);
      for (let i = 0; i < 30; i++) {
        bucket[
          Math.min(23, Math.max(0, Math.round(12 + (random() + random() + random() - 1.5) * 9)))
        ]!++;
      }
      return {
        scale: 1,
        zeroCount: 1,
        zeroThreshold: 0,
        count: 31,
        positive: { offset: -20, counts: bucket },
      };
    },
  );
  add(web, { name: "gc.pause", kind: "summary", unit: "s" }, [{}], () => {
    const middle = tailed(random, 0.004);
    return {
      count: 10,
      sum: 0.04,
      quantiles: [{ quantile: 0.5, value: middle }, { quantile: 0.99, value: middle * 4 }],
    };
  });
  add(web, { name: "queue.length", kind: "sum", unit: "{message}" }, [{ queue: "mail" }, {
    queue: "orders",
  }], (at, set) => ({
    value: Math.round(20 + 15 * Math.sin(at / 150_000 + set)),
  }));
  add(web, { name: HOSTILE[0]!, kind: "gauge", unit: "<u>", description: HOSTILE[8]! }, [{
    [HOSTILE[1]!]: HOSTILE[8]!,
  }], () => ({ value: random() }));
  return out;
}
