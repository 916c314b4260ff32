/**
 * A trace in the Trace Event Format of Chrome, which ui.perfetto.dev and chrome://tracing open.
 *
 * @module
 */
import type { Attribute, Resource, Span, Trace } from "../store/queries/types.ts";

/** An event of the format. Times are microseconds. */
type TraceEvent = Readonly<Record<string, unknown>>;

/** A trace file, to be given to `JSON.stringify`. */
export interface TraceFile {
  readonly displayTimeUnit: "ns";
  readonly otherData: Readonly<Record<string, string>>;
  readonly traceEvents: readonly TraceEvent[];
}

/**
 * Each resource is a process, and in it spans that overlap without one being in the other have threads
 * of their own, since a thread's slices have to nest.
 */
export function toPerfetto({ traceId, spans, resources }: Trace): TraceFile {
  const first = spans.reduce<bigint | null>((least, { startNs }) => {
    const start = BigInt(startNs);
    return least === null || start < least ? start : least;
  }, null) ?? 0n;
  const events: TraceEvent[] = [];
  const byResource = Map.groupBy(spans, ({ resourceId }) => resourceId);
  const places = new Map<string, { pid: number; tid: number; ts: number }>();
  let pid = 0;
  for (const [resourceId, own] of byResource) {
    pid++;
    events.push(metadata("process_name", pid, 0, nameOf(resources[resourceId])));
    const lanes = layOut(own, first);
    lanes.forEach((lane, i) => {
      const tid = i + 1;
      events.push(metadata("thread_name", pid, tid, `lane ${tid}`));
      for (const { span, from, to } of lane) {
        places.set(span.spanId, { pid, tid, ts: from });
        events.push(slice(span, pid, tid, from, to));
        for (const event of span.events) {
          events.push({
            name: event.name,
            cat: "event",
            ph: "i",
            s: "t",
            pid,
            tid,
            ts: micros(BigInt(event.timeNs) - first),
            args: argumentsOf(event.attributes),
          });
        }
      }
    });
  }
  events.push(...flows(spans, places));
  return {
    displayTimeUnit: "ns",
    otherData: { traceId, startNs: String(first) },
    traceEvents: events,
  };
}

interface Placed {
  readonly span: Span;
  readonly from: number;
  readonly to: number;
}

/** Spans of one process in as many lanes as it takes for each lane to nest. */
function layOut(spans: readonly Span[], first: bigint): Placed[][] {
  const sorted = spans.map((span): Placed => {
    const from = micros(BigInt(span.startNs) - first);
    return { span, from, to: from + Math.max(0, span.durationNs) / 1_000 };
  }).sort((a, b) => a.from - b.from || b.to - a.to);
  const lanes: { all: Placed[]; open: number[] }[] = [];
  for (const placed of sorted) {
    let lane = lanes.find(({ open }) => {
      while (open.length > 0 && open.at(-1)! <= placed.from) open.pop();
      return open.length === 0 || placed.to <= open.at(-1)!;
    });
    if (lane === undefined) lanes.push(lane = { all: [], open: [] });
    lane.all.push(placed);
    lane.open.push(placed.to);
  }
  return lanes.map(({ all }) => all);
}

function slice(span: Span, pid: number, tid: number, from: number, to: number): TraceEvent {
  return {
    name: span.name,
    cat: span.kind,
    ph: "X",
    pid,
    tid,
    ts: from,
    dur: to - from,
    // Perfetto shows failures in a colour of their own.
    ...(span.status === "error" ? { cname: "terrible" } : {}),
    args: {
      span_id: span.spanId,
      parent_span_id: span.parentSpanId,
      status: span.status,
      ...(span.statusMessage === "" ? {} : { status_message: span.statusMessage }),
      ...(span.interrupted ? { interrupted: true } : {}),
      ...argumentsOf(span.attributes),
    },
  };
}

/** Arrows from parents to children in other lanes. */
function flows(
  spans: readonly Span[],
  places: ReadonlyMap<string, { pid: number; tid: number; ts: number }>,
): TraceEvent[] {
  return spans.flatMap(({ spanId, parentSpanId }, id) => {
    const from = places.get(parentSpanId);
    const to = places.get(spanId);
    if (from === undefined || to === undefined) return [];
    if (from.pid === to.pid && from.tid === to.tid) return [];
    const arrow = { name: "calls", cat: "call", id };
    return [
      // It begins inside of the parent's slice.
      { ...arrow, ph: "s", ...from, ts: Math.max(from.ts, to.ts) },
      { ...arrow, ph: "f", bp: "e", ...to },
    ];
  });
}

function metadata(name: string, pid: number, tid: number, value: string): TraceEvent {
  return { name, ph: "M", pid, tid, args: { name: value } };
}

function nameOf(resource: Resource | undefined): string {
  const pid = resource?.attributes.find(({ key }) => key === "process.pid")?.value;
  const number = pid?.intValue ?? pid?.stringValue;
  const service = resource?.service || "unknown";
  return number === undefined ? service : `${service} (${number})`;
}

function argumentsOf(attributes: readonly Attribute[]): Record<string, unknown> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [key, Object.values(value)[0] ?? null]),
  );
}

/** Nanoseconds as microseconds with a fraction: exact for traces of less than some weeks. */
function micros(ns: bigint): number {
  return Number(ns) / 1_000;
}
