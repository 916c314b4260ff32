/**
 * What the made-up collector answers: the API's questions, in memory, without care for speed.
 *
 * @module
 */
import type {
  Call,
  CrashReport,
  Log,
  Overview,
  Paged,
  Span,
  SpanSummary,
  TraceSummary,
  Value,
} from "../../store/queries/types.ts";
import type { TraceNow } from "../live-types.ts";
import type { Data } from "./data.ts";

const MS = 1_000_000n;

function startMs(span: { startNs: string }): number {
  return Number(BigInt(span.startNs) / MS);
}

function summary(span: Span): SpanSummary {
  const { id, traceId, spanId, parentSpanId, name, service, kind, status, startNs, durationNs } =
    span;
  const { interrupted, resourceId } = span;
  return {
    id,
    traceId,
    spanId,
    parentSpanId,
    name,
    service,
    kind,
    status,
    startNs,
    durationNs,
    interrupted,
    resourceId,
  };
}

function json(value: Value): unknown {
  return value.stringValue ?? value.boolValue ??
    (value.intValue !== undefined ? Number(value.intValue) : value.doubleValue);
}

function hasAttributes(
  record: { attributes: Span["attributes"] },
  conditions: readonly string[],
): boolean {
  return conditions.every((condition) => {
    const at = condition.indexOf("=");
    const wanted = JSON.parse(condition.slice(at + 1));
    return record.attributes.some(({ key, value }) =>
      key === condition.slice(0, at) && json(value) === wanted
    );
  });
}

function spansOf(data: Data, query: URLSearchParams): Span[] {
  const number = (name: string, otherwise: number): number => Number(query.get(name) ?? otherwise);
  const services = query.getAll("service");
  return data.spans.filter((span) =>
    (services.length === 0 || services.includes(span.service)) &&
    (!query.has("name") || span.name === query.get("name")) &&
    (!query.has("nameContains") ||
      span.name.toLowerCase().includes(query.get("nameContains")!.toLowerCase())) &&
    (!query.has("status") || span.status === query.get("status")) &&
    (!query.has("kind") || span.kind === query.get("kind")) &&
    span.durationNs >= number("minDurationNs", 0) &&
    span.durationNs <= number("maxDurationNs", Infinity) &&
    (query.get("interrupted") !== "true" || span.interrupted) &&
    (query.get("root") !== "true" || span.parentSpanId === "") &&
    startMs(span) >= number("from", 0) && startMs(span) < number("to", Infinity) &&
    hasAttributes(span, query.getAll("attribute"))
  );
}

function page<T>(rows: readonly T[], query: URLSearchParams): Paged<T> {
  const from = Number(query.get("cursor") ?? 0);
  const to = from + Number(query.get("limit") ?? 50);
  return { rows: rows.slice(from, to), next: to < rows.length ? String(to) : null };
}

function traceSummary(data: Data, traceId: string): TraceSummary {
  const spans = data.spans.filter((span) => span.traceId === traceId);
  const root = spans.find(({ parentSpanId }) => parentSpanId === "") ?? spans[0]!;
  const end = spans.reduce((last, span) => {
    const at = BigInt(span.startNs) + BigInt(span.durationNs);
    return at > last ? at : last;
  }, 0n);
  return {
    traceId,
    root: summary(root),
    startNs: spans[0]!.startNs,
    durationNs: Number(end - BigInt(spans[0]!.startNs)),
    spans: spans.length,
    errors: spans.filter(({ status }) => status === "error").length,
    interrupted: spans.filter(({ interrupted }) => interrupted).length,
    services: [...new Set(spans.map(({ service }) => service))].sort(),
  };
}

function at(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

function overview(data: Data, query: URLSearchParams): Overview {
  const [fromMs, toMs] = [Number(query.get("from")), Number(query.get("to"))];
  const count = Number(query.get("steps") ?? 30);
  const spans = data.spans.filter((span) => startMs(span) >= fromMs && startMs(span) < toMs);
  const byId = new Map(spans.map((span) => [span.traceId + span.spanId, span]));
  const calls = new Map<string, Span[]>();
  for (const span of spans) {
    const parent = byId.get(span.traceId + span.parentSpanId);
    if (!parent || parent.service === span.service) continue;
    const key = JSON.stringify([parent.service, span.service]);
    const list = calls.get(key);
    if (list) list.push(span);
    else calls.set(key, [span]);
  }
  const durations = (list: readonly Span[]): number[] =>
    list.map(({ durationNs }) => durationNs).sort((a, b) => a - b);
  const errors = (list: readonly Span[]): number =>
    list.filter(({ status }) => status === "error").length;
  const services = [...new Set(spans.map(({ service }) => service))].sort();
  return {
    fromMs,
    toMs,
    services: services.map((service) => {
      const own = spans.filter((span) => span.service === service);
      const entries = own.filter(({ kind, parentSpanId }) =>
        kind === "server" || kind === "consumer" || parentSpanId === ""
      );
      const sorted = durations(entries);
      return {
        service,
        requests: entries.length,
        errors: errors(entries),
        spans: own.length,
        perSecond: entries.length / ((toMs - fromMs) / 1000),
        p50: at(sorted, 0.5),
        p95: at(sorted, 0.95),
        p99: at(sorted, 0.99),
        steps: Array.from({ length: count }, (_, i) => {
          const width = (toMs - fromMs) / count;
          const inStep = entries.filter((span) =>
            Math.floor((startMs(span) - fromMs) / width) === i
          );
          return {
            requests: inStep.length,
            errors: errors(inStep),
            p95: at(durations(inStep), 0.95),
          };
        }),
      };
    }),
    calls: [...calls].map(([key, list]): Call => {
      const [from, to] = JSON.parse(key) as [string, string];
      const sorted = durations(list);
      return {
        from,
        to,
        count: list.length,
        errors: errors(list),
        p50: at(sorted, 0.5),
        p95: at(sorted, 0.95),
      };
    }),
  };
}

function logsOf(data: Data, query: URLSearchParams): Log[] {
  const services = query.getAll("service");
  const ms = (log: Log): number => Number(BigInt(log.timeNs) / MS);
  const words = (query.get("text") ?? "").toLowerCase().split(/\s+/).filter((word) => word !== "");
  return data.logs.filter((log) =>
    (services.length === 0 || services.includes(log.service)) &&
    log.severity >= Number(query.get("minSeverity") ?? 0) &&
    (!query.has("traceId") || log.traceId === query.get("traceId")) &&
    (!query.has("spanId") || log.spanId === query.get("spanId")) &&
    (!query.has("resourceId") || log.resourceId === Number(query.get("resourceId"))) &&
    log.id > Number(query.get("afterId") ?? -1) &&
    ms(log) >= Number(query.get("from") ?? 0) && ms(log) < Number(query.get("to") ?? Infinity) &&
    words.every((word) => (log.body.stringValue ?? "").toLowerCase().includes(word)) &&
    hasAttributes(log, query.getAll("attribute"))
  );
}

function crash(data: Data, id: number, seconds: number): CrashReport | undefined {
  const resource = data.resources.find((resource) => resource.id === id);
  const own = data.spans.filter(({ resourceId }) => resourceId === id);
  const open = own.filter(({ interrupted }) => interrupted);
  if (!resource || open.length === 0) return undefined;
  const end = (span: SpanSummary): bigint => BigInt(span.startNs) + BigInt(span.durationNs);
  const last = open.map(end).reduce((a, b) => a > b ? a : b);
  const from = last - BigInt(Math.round(seconds * 1000)) * MS;
  const inTime = (ns: string): boolean => BigInt(ns) >= from && BigInt(ns) <= last;
  return {
    resource,
    fromNs: String(from),
    lastNs: String(last),
    open,
    ended: own.filter((span) => !span.interrupted && end(span) >= from && end(span) <= last)
      .slice(-200).map(summary),
    logs: data.logs.filter(({ resourceId, timeNs }) => resourceId === id && inTime(timeNs)).slice(
      -200,
    ),
    metrics: data.streams.filter(({ stream }) => stream.resourceId === id).map((
      { stream, series },
    ) => ({
      stream,
      series: series.map((one) => ({
        ...one,
        points: one.points.filter(({ timeNs }) => inTime(timeNs)),
      }))
        .filter(({ points }) => points.length > 0),
    })).filter(({ series }) => series.length > 0),
    losses: data.losses.filter(({ timeMs }) => BigInt(timeMs) * MS >= from),
  };
}

function trace(data: Data, traceId: string): TraceNow | undefined {
  const spans = data.spans.filter((span) => span.traceId === traceId);
  const open = data.open.filter((span) => span.traceId === traceId);
  if (spans.length + open.length === 0) return undefined;
  return {
    traceId,
    spans,
    open,
    resources: Object.fromEntries(data.resources.map((resource) => [resource.id, resource])),
    scopes: Object.fromEntries(data.scopes.map((scope) => [scope.id, scope])),
  };
}

/** The answer to a question; undefined where there is none. */
export function answer(data: Data, path: string, query: URLSearchParams): unknown {
  const [what, id, more] = path.split("/").slice(2).map(decodeURIComponent);
  const last = { lastSpan: data.spans.length - 1, lastLog: data.logs.length - 1 };
  switch (what) {
    case "state":
      return {
        path: "/tmp/telemetry.db",
        bytes: 48_300_000,
        spans: data.spans.length,
        logs: data.logs.length,
        points: 40_000,
        ...last,
        version: "0.1.0",
        startedAt: data.nowMs - 3_600_000,
        endpoints: [],
        receivers: ["http://127.0.0.1:4318", "127.0.0.1:4317 (gRPC)"],
      };
    case "services":
      return data.resources.map(({ service }) => service).sort();
    case "span-names":
      return [...new Set(data.spans.map(({ name }) => name))].sort().slice(0, 1000);
    case "attribute-keys":
      return [...new Set(data.spans.flatMap(({ attributes }) => attributes.map(({ key }) => key)))]
        .sort();
    case "resources":
      return data.resources;
    case "overview":
      return overview(data, query);
    case "spans":
      return id === undefined
        ? page(spansOf(data, query).reverse().map(summary), query)
        : data.spans[Number(id)];
    case "traces": {
      if (id === undefined) {
        const ids = [...new Set(spansOf(data, query).reverse().map(({ traceId }) => traceId))];
        const rows = page(ids, query);
        return { ...rows, rows: rows.rows.map((traceId) => traceSummary(data, traceId)) };
      }
      return more === undefined ? trace(data, id) : { resourceSpans: [], of: id };
    }
    case "scatter":
      return spansOf(data, query).slice(-Number(query.get("limit") ?? 5000)).map((span) => ({
        id: span.id,
        startMs: Number(BigInt(span.startNs) / 1000n) / 1000,
        durationNs: span.durationNs,
        error: span.status === "error",
      }));
    case "logs": {
      const rows = logsOf(data, query);
      if (id !== "histogram") return page(query.has("afterId") ? rows : rows.reverse(), query);
      const [fromMs, steps] = [Number(query.get("from")), Number(query.get("steps") ?? 60)];
      const stepMs = (Number(query.get("to")) - fromMs) / steps;
      const counts = Array.from({ length: steps }, () => [0, 0, 0, 0, 0, 0, 0]);
      for (const log of rows) {
        const step = Math.floor((Number(BigInt(log.timeNs) / MS) - fromMs) / stepMs);
        if (counts[step]) counts[step]![Math.ceil(log.severity / 4)]!++;
      }
      return { fromMs, stepMs, steps: counts };
    }
    case "metrics": {
      if (id === undefined) return data.streams.map(({ stream }) => stream);
      const found = data.streams.find(({ stream }) => stream.id === Number(id));
      const [from, to] = [
        BigInt(query.get("from") ?? 0) * MS,
        BigInt(query.get("to") ?? 9e12) * MS,
      ];
      return found?.series.map((series) => ({
        ...series,
        points: series.points.filter(({ timeNs }) => BigInt(timeNs) >= from && BigInt(timeNs) < to),
      }));
    }
    case "losses":
      return data.losses;
    case "crashes": {
      if (id !== undefined) return crash(data, Number(id), Number(query.get("seconds") ?? 30));
      const report = crash(data, data.crashed, 30)!;
      return [{
        resource: report.resource,
        lastNs: report.lastNs,
        interrupted: report.open.length,
      }];
    }
    case "live":
      return { processes: data.processes };
    case "open-spans":
      return data.open.filter(({ traceId }) =>
        !query.has("traceId") || traceId === query.get("traceId")
      );
  }
  return undefined;
}
