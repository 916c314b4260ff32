/**
 * What the API answers: every route with its parameters, and where its answer comes from. The
 * description (openapi.ts) is made of the same table.
 *
 * @module
 */
import { InvalidQuery } from "../store/queries/types.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Asker } from "./asker.ts";
import type { LiveView } from "./live.ts";
import { openSpans } from "./open-spans.ts";
import {
  type Asked,
  CURSOR,
  limit,
  LOG_FILTER,
  logFilterOf,
  pageOf,
  type Parameter,
  RANGE,
  rangeOf,
  REQUIRED_RANGE,
  SECONDS,
  SERVICE,
  SPAN_FILTER,
  spanFilterOf,
  STEPS,
} from "./parameters.ts";
import type { Question } from "./questions.ts";
import type { ResourceIds } from "./resource-ids.ts";
import { list, ref, type Schema, TEXT, TRACE_ID } from "./schema.ts";

/** What is known of the collector beside its store. */
export interface About {
  readonly version: string;
  /** Unix milliseconds. */
  readonly startedAt: number;
  /** Where telemetry is sent, without credentials. */
  readonly endpoints: readonly string[];
  /** Where OTLP of other programs is received. */
  readonly receivers: readonly string[];
}

/** What answers are made from. */
export interface Sources {
  readonly asker: Asker;
  readonly pipeline: Pipeline;
  readonly ids: ResourceIds;
  readonly live: LiveView;
  about(): About;
}

/** A route of the API: GET. */
export interface Route {
  /** `{name}` is any one part. */
  readonly path: string;
  readonly summary: string;
  readonly parameters: readonly Parameter[];
  readonly answer: Schema;
  /** Where there may be no such thing: what was not found. */
  readonly missing?: string;
  /** It is saved as a file: the end of its name. */
  readonly file?: string;
  /** The question to the store that this is. */
  ask?(asked: Asked, id: string, sources: Sources): Question | Promise<Question>;
  /** What is answered from the collector's memory. */
  look?(asked: Asked, sources: Sources): unknown;
  /** Answered by the server itself: the description, and the stream of events. */
  readonly special?: "description" | "events";
}

const PAGE = [limit(1_000, 50), CURSOR];
/** Open spans in an answer. */
const MAX_OPEN = 1_000;

/** A number in a path. */
function numberOf(id: string): number {
  if (/^\d{1,15}$/.test(id)) return Number(id);
  throw new InvalidQuery("its number must be a whole number");
}

/** A trace id in a path. */
function traceIdOf(id: string): string {
  if (new RegExp(TRACE_ID.pattern as string, "i").test(id)) return id.toLowerCase();
  throw new InvalidQuery("a trace id has 32 hexadecimal digits");
}

/** All routes. */
export const ROUTES: readonly Route[] = [
  {
    path: "/api/openapi.json",
    summary: "this description",
    parameters: [],
    answer: { type: "object" },
    special: "description",
  },
  {
    path: "/api/state",
    summary: "what the store holds, and what the collector does",
    parameters: [],
    answer: ref("State"),
    ask: (_asked, _id, { about }) => ["stateAnd", about()],
  },
  {
    path: "/api/services",
    summary: "all services, sorted",
    parameters: [],
    answer: list(TEXT),
    ask: () => ["services"],
  },
  {
    path: "/api/span-names",
    summary: "names of spans, sorted, at most 1,000",
    parameters: [SERVICE],
    answer: list(TEXT),
    ask: ({ service }) => ["spanNames", service as string | undefined],
  },
  {
    path: "/api/attribute-keys",
    summary: "keys of attributes that were seen, sorted, at most 1,000",
    parameters: [],
    answer: list(TEXT),
    ask: () => ["attributeKeys"],
  },
  {
    path: "/api/resources",
    summary: "the resources, newest first",
    parameters: [],
    answer: list(ref("Resource")),
    ask: () => ["resources"],
  },
  {
    path: "/api/overview",
    summary: "services with rates, errors and latencies, and which calls which",
    parameters: [...RANGE, STEPS],
    answer: ref("Overview"),
    ask: (asked) => ["overview", rangeOf(asked), asked.steps as number | undefined],
  },
  {
    path: "/api/spans",
    summary: "spans that fit, newest stored first",
    parameters: [...SPAN_FILTER, ...PAGE],
    answer: ref("PageOfSpans"),
    ask: (asked) => ["searchSpans", spanFilterOf(asked), pageOf(asked)],
  },
  {
    path: "/api/spans/{id}",
    summary: "one span",
    parameters: [],
    answer: ref("Span"),
    missing: "there is no such span, or not any more",
    ask: (_asked, id) => ["span", numberOf(id)],
  },
  {
    path: "/api/traces",
    summary: "traces that have a span that fits, newest stored first",
    parameters: [...SPAN_FILTER, ...PAGE],
    answer: ref("PageOfTraces"),
    ask: (asked) => ["searchTraces", spanFilterOf(asked), pageOf(asked)],
  },
  {
    path: "/api/traces/{traceId}",
    summary: "one trace: the spans that ended, and those that are open now, at most 1,000",
    parameters: [],
    answer: ref("Trace"),
    missing: "there is no such trace, or not any more",
    async ask(_asked, id, { ids, pipeline }) {
      const traceId = traceIdOf(id);
      return ["traceAnd", traceId, await openSpans(pipeline, ids, MAX_OPEN, traceId)];
    },
  },
  {
    path: "/api/traces/{traceId}/otlp.json",
    summary: "one trace as an ExportTraceServiceRequest in OTLP/JSON",
    parameters: [],
    answer: ref("OtlpTraces"),
    missing: "no span of such a trace has ended, or it was removed",
    file: "otlp.json",
    ask: (_asked, id) => ["otlpJson", traceIdOf(id)],
  },
  {
    path: "/api/traces/{traceId}/perfetto.json",
    summary: "one trace in Chrome's Trace Event Format, for ui.perfetto.dev",
    parameters: [],
    answer: ref("TraceFile"),
    missing: "no span of such a trace has ended, or it was removed",
    file: "perfetto.json",
    ask: (_asked, id) => ["perfetto", traceIdOf(id)],
  },
  {
    path: "/api/scatter",
    summary: "the newest spans that fit, as points",
    parameters: [...SPAN_FILTER, limit(5_000, 5_000)],
    answer: list(ref("SpanPoint")),
    ask: (asked) => ["scatter", spanFilterOf(asked), asked.limit as number | undefined],
  },
  {
    path: "/api/logs",
    summary: "log records that fit, newest stored first; with afterId oldest first",
    parameters: [...LOG_FILTER, ...PAGE],
    answer: ref("PageOfLogs"),
    ask: (asked) => ["searchLogs", logFilterOf(asked), pageOf(asked)],
  },
  {
    path: "/api/logs/histogram",
    summary: "how many log records fit, over time and by severity",
    parameters: [...LOG_FILTER.filter(({ name }) => !isTime(name)), ...REQUIRED_RANGE, STEPS],
    answer: ref("LogHistogram"),
    ask: (asked) => [
      "logHistogram",
      { ...logFilterOf(asked), fromMs: asked.from as number, toMs: asked.to as number },
      asked.steps as number | undefined,
    ],
  },
  {
    path: "/api/metrics",
    summary: "all metric streams, by name",
    parameters: [],
    answer: list(ref("MetricStream")),
    ask: () => ["metricStreams"],
  },
  {
    path: "/api/metrics/{streamId}",
    summary: "the series of a stream, at most 20,000 points",
    parameters: RANGE,
    answer: list(ref("MetricSeries")),
    ask: (asked, id) => ["metricSeries", numberOf(id), rangeOf(asked)],
  },
  {
    path: "/api/losses",
    summary: "records that were lost, newest first, at most 10,000",
    parameters: RANGE,
    answer: list(ref("Loss")),
    ask: (asked) => ["losses", rangeOf(asked)],
  },
  {
    path: "/api/crashes",
    summary: "processes that died, newest first, at most 100",
    parameters: [],
    answer: list(ref("Crash")),
    ask: () => ["crashes"],
  },
  {
    path: "/api/crashes/{resourceId}",
    summary: "the last seconds of a process",
    parameters: [SECONDS],
    answer: ref("CrashReport"),
    missing: "there is no such process, or not any more",
    ask: (asked, id) => ["crash", numberOf(id), asked.seconds as number | undefined],
  },
  {
    path: "/api/live",
    summary: "processes that are followed, and those that ended meanwhile",
    parameters: [],
    answer: ref("Live"),
    look: (_asked, { live }) => live.look(),
  },
  {
    path: "/api/open-spans",
    summary: "spans that are open now, newest first",
    parameters: [
      ...LOG_FILTER.filter(({ name }) => name === "traceId"),
      limit(MAX_OPEN, 100),
    ],
    answer: list(ref("OpenSpan")),
    look: (asked, { ids, pipeline }) =>
      openSpans(pipeline, ids, asked.limit as number ?? 100, asked.traceId as string),
  },
  {
    path: "/api/events",
    summary: "server-sent events: `news` (News) when something was stored, at most 4 a second; " +
      "`live` (Live) once a second",
    parameters: [],
    answer: TEXT,
    special: "events",
  },
];

function isTime(name: string): boolean {
  return name === "from" || name === "to";
}

/** A route and what its `{name}` is. */
export interface Found {
  readonly route: Route;
  readonly id: string;
}

const MATCHERS = ROUTES.map((route) => ({
  route,
  pattern: new RegExp(`^${route.path.replaceAll(".", "\\.").replace(/\{\w+\}/, "([^/]+)")}$`),
}));

/** The route of a path; undefined where there is none. */
export function findRoute(path: string): Found | undefined {
  for (const { route, pattern } of MATCHERS) {
    const match = pattern.exec(path);
    if (match !== null) return { route, id: match[1] ?? "" };
  }
  return undefined;
}
