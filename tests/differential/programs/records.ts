/**
 * Log records: bodies and attributes of every type, times, exceptions, contexts.
 *
 * @module
 */
import { logs, ROOT_CONTEXT, SeverityNumber, type TimeInput, trace } from "@opentelemetry/api";
import { logs as olderLogs } from "@opentelemetry/api-logs";
import type { Program } from "../programs.ts";
import { EDGES } from "./values.ts";

const T = 1_700_000_000;

function bodies(): void {
  const logger = logs.getLogger("bodies");
  const older = olderLogs.getLogger("older");
  for (const [name, value] of Object.entries(EDGES)) {
    const eventName = name;
    logger.emit({ eventName, timestamp: [T, 1], body: value as never });
    logger.emit({ eventName: `${name} inside`, timestamp: [T, 2], body: [{ in: value }] as never });
    logger.emit({
      eventName: `${name} as attribute`,
      timestamp: [T, 3],
      attributes: { value, nested: { value } } as never,
    });
    older.emit({ eventName: `${name} older`, timestamp: [T, 4], body: value as never });
  }
  logger.emit({
    eventName: "own only",
    timestamp: [T, 1],
    attributes: Object.assign(Object.create({ inherited: 1 }), { own: 1 }),
  });
  logger.emit({
    eventName: "wide",
    timestamp: [T, 1],
    body: Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`k${i}`, [i, `${i}`]])),
  });
  logger.emit({ eventName: "long", timestamp: [T, 1], body: "0123456789".repeat(180) });
  logger.emit({
    eventName: "deep",
    timestamp: [T, 1],
    body: Array.from({ length: 7 }).reduce<unknown>((inner) => ({ inner: [inner] }), 1) as never,
  });
}

function fields(): void {
  const logger = logs.getLogger("fields", "1");
  const times: Record<string, TimeInput> = {
    pair: [T, 123_456_789],
    date: new Date(T * 1000 + 7),
    milliseconds: T * 1000 + 3,
    "milliseconds with a half": T * 1000 + 0.5,
  };
  for (const [name, time] of Object.entries(times)) {
    logger.emit({ body: `timestamp ${name}`, timestamp: time });
    logger.emit({ body: `observed ${name}`, observedTimestamp: time });
    logger.emit({ body: `both ${name}`, timestamp: time, observedTimestamp: [T, 1] });
  }
  for (const severityNumber of [0, 1, 24] as SeverityNumber[]) {
    logger.emit({ body: `number ${severityNumber}`, timestamp: [T, 0], severityNumber });
  }
  for (const severityText of ["", "INFO", "własny 🚲", "s".repeat(32)]) {
    logger.emit({ body: `text of ${severityText.length}`, timestamp: [T, 0], severityText });
  }
  for (const eventName of ["", "event", "zdarzenie 🚲", "e".repeat(500)]) {
    logger.emit({ body: `event of ${eventName.length}`, timestamp: [T, 0], eventName });
  }
  // One name again with other attributes.
  for (let i = 0; i < 5; i++) {
    logger.emit({
      eventName: "again",
      body: `again ${i}`,
      timestamp: [T, i],
      attributes: Object.fromEntries(Array.from({ length: i }, (_, j) => [`k${j}`, `${i}`])),
    });
  }
  const scopes = [
    ["a"],
    ["a", "1"],
    ["a", "1", { schemaUrl: "https://example.org" }],
    ["a", "1", { attributes: { of: "scope", list: [1, 2] } }],
    [""],
  ];
  for (const scope of scopes) {
    const [name, version, options] = scope as [string, string?, object?];
    logs.getLogger(name, version, options).emit({ body: JSON.stringify(scope), timestamp: [T, 0] });
  }
  const enabled = logger.enabled({ severityNumber: SeverityNumber.DEBUG });
  logger.emit({ body: "enabled", timestamp: [T, 0], attributes: { enabled } });
}

function exceptions(): void {
  const logger = logs.getLogger("exceptions");
  const withStack = (error: Error): Error => Object.assign(error, { stack: `${error.name} at x` });
  const all: Record<string, unknown> = {
    error: withStack(new TypeError("boom")),
    "without a message": withStack(new TypeError("")),
    "with a code": withStack(Object.assign(new Error("not there"), { code: "ENOENT" })),
    "with a number for code": { code: 7, message: "seven" },
    text: "only text",
    "no text": "",
    number: 17,
    "name alone": { name: "Named" },
    "stack alone": { stack: "at x" },
    empty: {},
    null: null,
    absent: undefined,
  };
  for (const [name, exception] of Object.entries(all)) {
    logger.emit({ body: name, timestamp: [T, 0], exception });
    logger.emit({
      body: `${name}, with attributes`,
      timestamp: [T, 0],
      exception,
      attributes: { mine: 1, "exception.message": "my own" },
    });
  }
}

function contexts(): void {
  const logger = logs.getLogger("contexts");
  const older = olderLogs.getLogger("older");
  const tracer = trace.getTracer("contexts");
  logger.emit({ body: "in none", timestamp: [T, 0] });
  tracer.startActiveSpan("outer", { startTime: [T, 0] }, (outer) => {
    logger.emit({ body: "in outer", timestamp: [T, 0] });
    older.emit({ body: "in outer, older", timestamp: [T, 0] });
    tracer.startActiveSpan("inner", { startTime: [T, 0] }, (inner) => {
      logger.emit({ body: "in inner", timestamp: [T, 0] });
      const context = trace.setSpan(ROOT_CONTEXT, outer);
      logger.emit({ body: "in outer by context", timestamp: [T, 0], context });
      older.emit({ body: "in outer by context, older", timestamp: [T, 0], context });
      logger.emit({ body: "in root", timestamp: [T, 0], context: ROOT_CONTEXT });
      inner.end([T, 1]);
      logger.emit({ body: "in ended inner", timestamp: [T, 0] });
    });
    outer.end([T, 1]);
  });
  const valid = { traceId: "a".repeat(32), spanId: "b".repeat(16), traceFlags: 1 };
  for (
    const [name, spanContext] of Object.entries({
      sampled: valid,
      "not sampled": { ...valid, traceFlags: 0 },
      remote: { ...valid, isRemote: true },
      "no trace id": { ...valid, traceId: "0".repeat(32) },
      "no span id": { ...valid, spanId: "0".repeat(16) },
    })
  ) {
    const context = trace.setSpanContext(ROOT_CONTEXT, spanContext);
    logger.emit({ body: `in ${name}`, timestamp: [T, 0], context });
  }
}

export const programs: Readonly<Record<string, Program>> = {
  "log bodies": { run: bodies },
  "log fields": { run: fields },
  "log exceptions": { run: exceptions },
  "log contexts": { run: contexts },
};
