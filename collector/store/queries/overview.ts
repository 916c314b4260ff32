/**
 * Services and who calls whom, from figures that were added up with each window, and for the tail now.
 *
 * @module
 */
import {
  addCalls,
  addServices,
  type Figure,
  type Figures,
  quantile,
  readFigures,
  type SpanColumns,
  STEP_MS,
} from "../figures.ts";
import { originsOf, readColumn, type Reader, statement } from "../read/reader.ts";
import { COLUMN } from "../window.ts";
import {
  type Call,
  InvalidQuery,
  type Overview,
  type ServiceFigures,
  type TimeRange,
} from "./types.ts";

/** What is added up of a service or a call. */
interface Sum {
  spans: number;
  requests: number;
  errors: number;
  readonly buckets: Map<number, number>;
  readonly steps: Map<number, Sum>;
}

function emptySum(): Sum {
  return { spans: 0, requests: 0, errors: 0, buckets: new Map(), steps: new Map() };
}

/** See {@linkcode StoreQueries}. */
export function overview(reader: Reader, range: TimeRange, steps = 30): Overview {
  if (!Number.isInteger(steps) || steps < 1 || steps > 1_000) {
    throw new InvalidQuery(`the number of steps is 1 to 1000: ${steps}`);
  }
  const tail = reader.tails.span;
  const windows = reader.windows.span;
  let first = Infinity;
  let last = -Infinity;
  for (const { min, max } of windows) {
    first = Math.min(first, min);
    last = Math.max(last, max);
  }
  for (let i = 0; i < tail.count; i++) {
    first = Math.min(first, tail.time[i]);
    last = Math.max(last, tail.time[i]);
  }
  // Without an end to the time asked for, what there is.
  const now = Date.now();
  const fromStep = Math.floor((range.fromMs ?? (first === Infinity ? now : first)) / STEP_MS);
  const toStep = Math.max(
    fromStep + 1,
    Math.ceil((range.toMs ?? (last === -Infinity ? now : last + 1)) / STEP_MS),
  );
  const fromMs = fromStep * STEP_MS;
  const toMs = toStep * STEP_MS;
  const services = new Map<string, Sum>();
  const calls = new Map<string, { from: string; to: string; sum: Sum }>();
  const origins = originsOf(reader);
  const serviceOf = (origin: number): string => origins.get(origin)?.service ?? "";
  const sumOf = (from: number, origin: number): Sum => {
    const to = serviceOf(origin);
    if (from < 0) {
      let sum = services.get(to);
      if (sum === undefined) services.set(to, sum = emptySum());
      return sum;
    }
    const key = JSON.stringify([serviceOf(from), to]);
    let call = calls.get(key);
    if (call === undefined) {
      calls.set(key, call = { from: serviceOf(from), to, sum: emptySum() });
    }
    return call.sum;
  };
  const partOf = (step: number): number =>
    Math.floor((step - fromStep) * steps / (toStep - fromStep));
  const stepOf = (sum: Sum, step: number): Sum => {
    let part = sum.steps.get(partOf(step));
    if (part === undefined) sum.steps.set(partOf(step), part = emptySum());
    return part;
  };

  const add = (
    { step, from, origin, spans, requests, errors }: Omit<Figure, "buckets">,
    eachBucket: (add: (bucket: number, count: number) => void) => void,
  ): void => {
    if (step < fromStep || step >= toStep) return;
    const sum = sumOf(from, origin);
    for (const target of from < 0 ? [sum, stepOf(sum, step)] : [sum]) {
      target.spans += spans;
      target.requests += requests;
      target.errors += errors;
      eachBucket((bucket, count) => {
        target.buckets.set(bucket, (target.buckets.get(bucket) ?? 0) + count);
      });
    }
  };
  const get = statement(reader, "SELECT figures FROM span_windows WHERE id = ?");
  windows.forEach(({ id, min, max }, i) => {
    // Calls by spans of the window before became known with this one.
    const before = windows[i - 1] ?? { min, max };
    if (Math.max(max, before.max) < fromMs || Math.min(min, before.min) >= toMs) return;
    const { figures } = get.get(id) as { figures: Uint8Array };
    readFigures(figures, (figure, words, at, buckets) => {
      add(figure, (count) => {
        for (let k = 0; k < buckets; k++) count(words[at + k * 2], words[at + k * 2 + 1]);
      });
    });
  });
  const fresh: Figures = new Map();
  addServices(fresh, tail);
  addCalls(fresh, tail, lastColumns(reader), serviceOf);
  for (const figure of fresh.values()) {
    add(figure, (count) => figure.buckets.forEach((each, bucket) => count(bucket, each)));
  }

  const rows: ServiceFigures[] = [];
  for (const [service, sum] of services) {
    rows.push({
      service,
      requests: sum.requests,
      errors: sum.errors,
      spans: sum.spans,
      perSecond: sum.requests / ((toMs - fromMs) / 1_000),
      p50: quantile(sum.buckets, 0.5),
      p95: quantile(sum.buckets, 0.95),
      p99: quantile(sum.buckets, 0.99),
      steps: Array.from({ length: steps }, (_, i) => {
        const step = sum.steps.get(i);
        return {
          requests: step?.requests ?? 0,
          errors: step?.errors ?? 0,
          p95: step === undefined ? 0 : quantile(step.buckets, 0.95),
        };
      }),
    });
  }
  rows.sort((a, b) => a.service < b.service ? -1 : 1);
  const edges: Call[] = [...calls.values()].map(({ from, to, sum }) => ({
    from,
    to,
    count: sum.requests,
    errors: sum.errors,
    p50: quantile(sum.buckets, 0.5),
    p95: quantile(sum.buckets, 0.95),
  }));
  return { fromMs, toMs, services: rows, calls: edges };
}

/** The newest written window: parents of the tail's spans may be in it. */
function lastColumns(reader: Reader): SpanColumns | null {
  const last = reader.windows.span.at(-1);
  if (last === undefined) return null;
  const read = (column: number): Uint8Array => readColumn(reader, "span", last.id, column);
  const words = (column: number): Uint32Array => {
    const bytes = read(column);
    return new Uint32Array(bytes.buffer, bytes.byteOffset, last.count);
  };
  const time = read(COLUMN.time);
  const duration = read(COLUMN.duration);
  return {
    count: last.count,
    time: new Float64Array(time.buffer, time.byteOffset, last.count),
    origin: words(COLUMN.origin),
    meta: read(COLUMN.meta),
    duration: new Float32Array(duration.buffer, duration.byteOffset, last.count),
    identity: words(COLUMN.identity),
    parent: words(COLUMN.parent),
  };
}
