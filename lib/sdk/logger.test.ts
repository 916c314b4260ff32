import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import {
  type Context,
  createContextKey,
  diag,
  type LogRecord,
  logs as apiLogs,
  ROOT_CONTEXT,
  SeverityNumber,
  type Span,
  trace,
} from "@opentelemetry/api";
import { type LoggerProvider as OlderProvider, logs as olderLogs } from "@opentelemetry/api-logs";
import { LOSS_ENCODE, LOSS_RING_FULL, LOSS_TRUNCATED } from "../format/layout.ts";
import {
  type Logging,
  type LoggingOptions,
  readLogs,
  startLogging,
} from "../../tests/support/logging.ts";
import { Random, seed } from "../../tests/support/random.ts";
import { Reader } from "../reader.ts";
import type { EmittedLogRecord } from "./logger.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-logger-"));
after(() => rmSync(directory, { recursive: true }));

/** Runs `body` with loggers that write to a file of their own. */
function logging<T>(body: (logging: Logging) => T, options: LoggingOptions = {}): T {
  const started = startLogging(directory, options);
  try {
    return body(started);
  } finally {
    started.recorder.close();
  }
}

/** Emits one record and reads it back. */
function emitted(record: LogRecord, options: LoggingOptions = {}) {
  return logging(({ logs, read }) => {
    logs.getLogger("scope").emit(record);
    const all = read();
    assert.equal(all.length, 1);
    return all[0];
  }, options);
}

/** What the API's diag logger was told while `body` ran. */
function warnings(body: () => void): string[] {
  const lines: string[] = [];
  const add = (...words: unknown[]) => void lines.push(words.join(" "));
  diag.setLogger({ error: add, warn: add, info() {}, debug() {}, verbose() {} });
  try {
    body();
  } finally {
    diag.disable();
  }
  return lines;
}

const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
const SPAN_ID = "b7ad6b7169203331";
const foreign = trace.wrapSpanContext({ traceId: TRACE_ID, spanId: SPAN_ID, traceFlags: 1 });

/** Whatever is asked of it throws. */
function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

describe("log records", () => {
  it("are in the file when emit returns, whole", () => {
    const attributes = {
      text: "value",
      int: 7,
      double: 0.5,
      yes: true,
      none: null,
      list: ["a", 1, [true]],
      map: { deep: { deeper: [1.5] } },
      bytes: Uint8Array.of(1, 2),
      absent: undefined,
    };
    const log = emitted({
      timestamp: [1_700_000_000, 123_456_789],
      observedTimestamp: new Date(1_700_000_001_000),
      severityNumber: SeverityNumber.WARN2,
      severityText: "warning",
      eventName: "order.placed",
      body: { order: 7, items: ["a", "b"] },
      attributes,
      context: trace.setSpan(ROOT_CONTEXT, foreign),
    });
    assert.deepEqual(log, {
      scope: "scope",
      scopeAttributes: {},
      time: 1_700_000_000_123_456_789n,
      observed: 1_700_000_001_000_000_000n,
      severityNumber: 14,
      severityText: "warning",
      name: "order.placed",
      body: { order: 7n, items: ["a", "b"] },
      traceId: TRACE_ID,
      spanId: SPAN_ID,
      flags: 1,
      attributes: {
        text: "value",
        int: 7n,
        double: 0.5,
        yes: true,
        none: null,
        list: ["a", 1n, [true]],
        map: { deep: { deeper: [1.5] } },
        bytes: Uint8Array.of(1, 2),
      },
      dropped: 0,
      truncated: false,
    });
  });

  it("may say nothing at all", () => {
    const before = BigInt(Date.now()) * 1_000_000n;
    const { time, observed, ...rest } = emitted({});
    assert.ok(time >= before && time <= BigInt(Date.now() + 1) * 1_000_000n);
    assert.equal(observed, time);
    assert.deepEqual(rest, {
      scope: "scope",
      scopeAttributes: {},
      severityNumber: 0,
      severityText: "",
      name: "",
      body: undefined,
      traceId: "",
      spanId: "",
      flags: 0,
      attributes: {},
      dropped: 0,
      truncated: false,
    });
  });

  it("take no elements of a text, a list or bytes for attributes", () => {
    for (const given of ["abc", new String("abc"), ["abc"], new Uint8Array(3), revoked()]) {
      assert.deepEqual(emitted({ body: "b", attributes: given as never }).attributes, {});
    }
  });

  it("are log records to a reader", () => {
    logging(({ logs, recorder }) => {
      logs.getLogger("scope").emit({ body: "hello", severityNumber: 9, attributes: { a: 1 } });
      const reader = Reader.open(recorder.file!.mapping.path);
      const records = reader.poll();
      reader.close();
      assert.equal(records.length, 1);
      const [record] = records;
      assert.ok(record.ring === "events" && !("unreadable" in record));
      assert.equal(record.isSpanEvent, false);
      assert.equal(record.body, "hello");
      assert.deepEqual({ ...record.attributes }, { a: 1n });
    });
  });

  it("belong to their own span where spans of others take turns", () => {
    const contexts = [
      { traceId: TRACE_ID, spanId: SPAN_ID, traceFlags: 1 },
      { traceId: TRACE_ID, spanId: "c".repeat(16), traceFlags: 0 },
      { traceId: "d".repeat(32), spanId: "c".repeat(16), traceFlags: 1 },
      { traceId: "d".repeat(32), spanId: "0".repeat(16), traceFlags: 1 },
      { traceId: "not hex".padEnd(32), spanId: "c".repeat(16), traceFlags: 1 },
    ];
    // Each after each, and after itself.
    const turns = contexts.flatMap((one) => contexts.flatMap((other) => [one, other, other]));
    logging(({ logs, read }) => {
      const logger = logs.getLogger("scope");
      for (const turn of turns) logger.emit({ context: trace.setSpanContext(ROOT_CONTEXT, turn) });
      assert.deepEqual(
        read().map(({ traceId, spanId, flags }) => ({ traceId, spanId, traceFlags: flags })),
        turns.map((turn) =>
          contexts.indexOf(turn) < 3 ? turn : { traceId: "", spanId: "", traceFlags: 0 }
        ),
      );
    });
  });

  it("belong to the span of their context, or of the active one", () => {
    let active: Context = ROOT_CONTEXT;
    logging(({ logs, tracer, read }) => {
      const logger = logs.getLogger("scope");
      const span = tracer.startSpan("ours");
      const other = tracer.startSpan("other");
      active = trace.setSpan(ROOT_CONTEXT, span);
      logger.emit({ body: 0 });
      logger.emit({ body: 1, context: trace.setSpan(ROOT_CONTEXT, other) });
      logger.emit({ body: 2, context: trace.setSpan(ROOT_CONTEXT, foreign) });
      logger.emit({ body: 3, context: ROOT_CONTEXT });
      const invalid = trace.wrapSpanContext({
        traceId: "0".repeat(32),
        spanId: SPAN_ID,
        traceFlags: 1,
      });
      logger.emit({ body: 4, context: trace.setSpan(ROOT_CONTEXT, invalid) });
      logger.emit({ body: 5, context: ROOT_CONTEXT.setValue(createContextKey("k"), 1) });
      logger.emit({ body: 6, context: {} as Context });
      logger.emit({ body: 7, context: null as unknown as Context });
      const throwing = {
        spanContext() {
          throw new Error("no");
        },
      } as unknown as Span;
      logger.emit({ body: 8, context: trace.setSpan(ROOT_CONTEXT, throwing) });
      const ids = (of: Span) => [of.spanContext().traceId, of.spanContext().spanId, 1];
      assert.deepEqual(read().map(({ traceId, spanId, flags }) => [traceId, spanId, flags]), [
        ids(span),
        ids(other),
        [TRACE_ID, SPAN_ID, 1],
        ["", "", 0],
        ["", "", 0],
        ["", "", 0],
        ["", "", 0],
        ids(span),
        ["", "", 0],
      ]);
    }, { activeContext: () => active });
  });

  it("take times in every form, and the time now for what is none", () => {
    logging(({ logs, read }) => {
      const logger = logs.getLogger("scope");
      const at = performance.now();
      const since = Date.now();
      class BadDate extends Date {
        override getTime(): number {
          logger.emit({ body: "from a getter" });
          throw new Error("no");
        }
      }
      const lines = warnings(() => {
        for (const timestamp of [1.7e12, 1.7e12 + 0.25, new Date(1.7e12), at]) {
          logger.emit({ timestamp, observedTimestamp: timestamp });
        }
        for (const timestamp of [NaN, "today", [1], {}, Object.create(null), -1, new BadDate()]) {
          logger.emit({ timestamp, observedTimestamp: timestamp } as LogRecord);
        }
        logger.emit({ timestamp: 1.7e12 });
        logger.emit({ observedTimestamp: 1.7e12 });
      });
      const times = read().map(({ time, observed }) => [time, observed]);
      const base = 1_700_000_000_000_000_000n;
      assert.deepEqual(times.slice(0, 3), [[base, base], [base + 250_000n, base + 250_000n], [
        base,
        base,
      ]]);
      const isNow = (time: bigint) =>
        assert.ok(
          time >= BigInt(since - 1000) * 1_000_000n && time < BigInt(since + 60_000) * 1_000_000n,
        );
      for (const pair of times.slice(3, 11)) pair.forEach(isNow);
      assert.equal(times.length, 13);
      assert.equal(times[11][0], base);
      isNow(times[11][1]);
      assert.equal(times[12][1], base);
      isNow(times[12][0]);
      assert.equal(lines.filter((line) => line.includes("not a time")).length, 12);
    });
  });

  it("have a severity of 1 to 24 or none", () => {
    logging(({ logs, read }) => {
      const logger = logs.getLogger("scope");
      for (const severityNumber of [1, 24, 9.7, 0, -1, 25, NaN, "9", {}, null, 9n]) {
        logger.emit({ severityNumber } as LogRecord);
      }
      assert.deepEqual(read().map((log) => log.severityNumber), [1, 24, 9, 0, 0, 0, 0, 0, 0, 0, 0]);
    });
  });

  it("have an event name from the dictionary, or their own when there are too many", () => {
    logging(({ logs, read }) => {
      const logger = logs.getLogger("scope");
      const names = Array.from({ length: 1100 }, (_, i) => `event ${i}`);
      names.push("event 0", "żółć".repeat(400), "");
      for (const eventName of names) {
        logger.emit({ eventName, body: eventName, attributes: { a: 1 } });
      }
      const all = read();
      assert.equal(all.length, names.length);
      all.slice(0, 1101).forEach((log, i) => assert.equal(log.name, names[i]));
      assert.ok("żółć".repeat(400).startsWith(all[1101].name) && all[1101].name.length > 100);
      assert.equal(all[1102].name, "");
    });
  });

  it("give the body three quarters of a slot where there are attributes, else all of it", () => {
    const options = { sizes: { events: { slots: 8, slotBytes: 1024 } } };
    const both = emitted({ body: "b".repeat(5000), attributes: { a: "a".repeat(5000) } }, options);
    assert.equal(both.truncated, true);
    const body = (both.body as string).length;
    const attribute = (both.attributes.a as string).length;
    assert.ok(body > 600 && body < 768 && attribute > 200, `${body} ${attribute}`);
    const alone = emitted({ body: "b".repeat(5000) }, options);
    assert.ok(alone.truncated && (alone.body as string).length > 900);
    const many = emitted({
      attributes: Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`key ${i}`, "value"])),
    }, options);
    assert.equal(Object.keys(many.attributes).length + many.dropped, 100);
    assert.ok(many.dropped > 0);
    logging(({ logs, lost }) => {
      logs.getLogger("scope").emit({ body: "b".repeat(5000) });
      assert.equal(lost(LOSS_TRUNCATED), 1);
    }, options);
  });

  it("keep the limits of attributes, which are not the body's", () => {
    const limits = { attributeCountLimit: 3, attributeValueLengthLimit: 5 };
    const log = emitted({
      body: "a body is no attribute",
      attributes: {
        a: "123456",
        b: ["123456", { c: "123456" }],
        d: Uint8Array.of(1, 2, 3, 4, 5, 6),
        e: 1,
        f: 2,
      },
    }, { limits });
    assert.deepEqual(log.attributes, {
      a: "12345",
      b: ["12345", { c: "12345" }],
      d: Uint8Array.of(1, 2, 3, 4, 5),
    });
    assert.equal(log.dropped, 2);
    assert.equal(log.body, "a body is no attribute");
  });

  it("count attributes that are none", () => {
    const log = emitted({
      attributes: { fine: 1, date: new Date(), fn() {}, "": 1, symbol: Symbol("s") },
    });
    assert.deepEqual(log.attributes, { fine: 1n });
    assert.equal(log.dropped, 4);
  });

  it("have their exception as attributes, unless these are given", () => {
    const error = new RangeError("too far");
    const log = emitted({ exception: error, attributes: { "exception.message": "mine", a: 1 } });
    assert.deepEqual(log.attributes, {
      "exception.message": "mine",
      a: 1n,
      "exception.type": "RangeError",
      "exception.stacktrace": error.stack,
    });
    const withCode = Object.assign(new Error("gone"), { code: "ENOENT" });
    assert.equal(emitted({ exception: withCode }).attributes["exception.type"], "ENOENT");
    assert.deepEqual(emitted({ exception: "text" }).attributes, { "exception.message": "text" });
    assert.deepEqual(emitted({ exception: 0 }).attributes, { "exception.message": "0" });
    assert.deepEqual(emitted({ exception: null }).attributes, {});
    const hostile = {
      get stack(): never {
        throw new Error("no");
      },
      name: Object.create(null),
      message: { toString: () => "said" },
    };
    assert.deepEqual(emitted({ exception: hostile }).attributes, { "exception.message": "said" });
    const attributes = {
      a: 1,
      get bad(): never {
        throw new Error("no");
      },
    };
    const mixed = emitted({ exception: "text", attributes });
    assert.deepEqual(mixed.attributes, { a: 1n, "exception.message": "text" });
    assert.equal(mixed.dropped, 1);
  });

  it("go on in the next file when the dictionary is full", () => {
    logging(({ logs, recorder }) => {
      const logger = logs.getLogger("scope", "1", { attributes: { kept: true } });
      const first = recorder.file!.mapping.path;
      let emittedRecords = 0;
      while (recorder.file!.mapping.path === first) {
        logger.emit({ body: { [`key ${emittedRecords}`]: "x".repeat(10) }, attributes: { n: 1 } });
        assert.ok(++emittedRecords < 2000);
      }
      const before = readLogs(first);
      const after = readLogs(recorder.file!.mapping.path);
      assert.equal(before.length + after.length, emittedRecords);
      assert.equal(after.length, 1);
      assert.deepEqual(after[0].body, { [`key ${emittedRecords - 1}`]: "x".repeat(10) });
      assert.deepEqual(after[0].scopeAttributes, { kept: true });
    }, { sizes: { dictionaryBytes: 4096 } });
  });

  it("are refused and counted when the ring is full", () => {
    logging(({ logs, read, lost }) => {
      const logger = logs.getLogger("scope");
      const lines = warnings(() => {
        for (let body = 0; body < 10; body++) logger.emit({ body });
      });
      assert.deepEqual(read().map(({ body }) => body), [0n, 1n, 2n]);
      assert.equal(lost(LOSS_RING_FULL), 7);
      assert.equal(lines.length, 1);
    }, { sizes: { events: { slots: 4 } } });
  });

  it("never leave their slot, however small", () => {
    const random = new Random();
    const text = (most: number) => random.pick(["x", "ż", "👩"]).repeat(random.below(most));
    logging(({ logs, read, tracer }) => {
      const logger = logs.getLogger("scope");
      const contexts = [ROOT_CONTEXT, trace.setSpan(ROOT_CONTEXT, tracer.startSpan("span"))];
      const bodies: (string | undefined)[] = [];
      for (let i = 0; i < 1500; i++) {
        const body = random.below(5) === 0 ? undefined : text(200);
        bodies.push(body);
        logger.emit({
          context: random.pick(contexts),
          severityText: text(60),
          severityNumber: random.below(25),
          eventName: random.below(2) === 0 ? "" : `${i} ${text(100)}`,
          body,
          attributes: random.below(3) === 0 ? undefined : { a: text(100), b: i, c: [text(20)] },
        });
      }
      const all = read();
      assert.equal(all.length, 1500);
      all.forEach((log, i) => {
        if (log.body === undefined) assert.ok(bodies[i] === undefined || log.truncated);
        else assert.ok(bodies[i]!.startsWith(log.body as string), `record ${i} (seed ${seed})`);
      });
    }, { sizes: { events: { slots: 2048, slotBytes: 256 } } });
  });
});

describe("loggers", () => {
  it("are the same for the same name, version, schema URL and attributes", () => {
    logging(({ logs, read }) => {
      const logger = logs.getLogger("a", "1", { schemaUrl: "s", attributes: { x: 1, y: ["z"] } });
      const same = logs.getLogger("a", "1", { schemaUrl: "s", attributes: { y: ["z"], x: 1 } });
      assert.equal(logger, same);
      const others = [
        logs.getLogger("a", "1", { schemaUrl: "s" }),
        logs.getLogger("a", "1", { schemaUrl: "s", attributes: { x: "1", y: ["z"] } }),
        logs.getLogger("a", "1", { schemaUrl: "s", attributes: { x: NaN, y: ["z"] } }),
        logs.getLogger("a", "1", { schemaUrl: "s", attributes: { x: Infinity, y: ["z"] } }),
        logs.getLogger("a", "2"),
        logs.getLogger("a"),
      ];
      assert.equal(new Set([logger, ...others]).size, 7);
      logger.emit({ body: 1 });
      const [log] = read();
      assert.equal(log.scope, "a");
      assert.deepEqual(log.scopeAttributes, { x: 1n, y: ["z"] });
    });
  });

  it("are there whatever they are asked for with", () => {
    logging(({ logs, read }) => {
      const hostile = {
        get attributes(): never {
          throw new Error("no");
        },
      };
      diag.disable();
      const get = logs.getLogger.bind(logs) as (
        ...args: unknown[]
      ) => ReturnType<typeof logs.getLogger>;
      for (
        const args of [[], [null], [Symbol("s")], [{}, {}, {}], ["a", "b", hostile], [
          "b",
          "",
          { attributes: { nested: { a: 1 }, mixed: [1, "a"], fine: 1 } },
        ]]
      ) {
        get(...args).emit({ body: "there" });
      }
      assert.deepEqual(read().map(({ body }) => body), Array(6).fill("there"));
      assert.deepEqual(read()[5].scopeAttributes, { fine: 1n });
    });
  });

  it("say whether a record would be written", () => {
    logging(({ logs, read }) => {
      const logger = logs.getLogger("a");
      assert.equal(logger.enabled(), true);
      assert.equal(logger.enabled({ severityNumber: 12 }), false);
      assert.equal(logger.enabled({ severityNumber: 13 }), true);
      assert.equal(logger.enabled({ severityNumber: 0, eventName: "e" }), true);
      for (const severityNumber of [0, 1, 12, 13, 24]) logger.emit({ severityNumber });
      assert.deepEqual(read().map((log) => log.severityNumber), [0, 13, 24]);
      void logs.shutdown();
      assert.equal(logger.enabled({ severityNumber: 24 }), false);
      logger.emit({ severityNumber: 24 });
      assert.equal(read().length, 3);
    }, { minimumSeverity: SeverityNumber.WARN });
  });

  it("do nothing without a file", () => {
    const started = startLogging(directory);
    const logger = started.logs.getLogger("a");
    started.recorder.close();
    logger.emit({ body: 1 });
    assert.equal(logger.enabled(), false);
    started.logs.getLogger("b").emit({ body: 1 });
  });

  it("serve both APIs", () => {
    logging(({ logs, read }) => {
      const older: OlderProvider = logs;
      apiLogs.setGlobalLoggerProvider(logs);
      olderLogs.setGlobalLoggerProvider(older);
      try {
        apiLogs.getLogger("new").emit({ body: "a", severityNumber: SeverityNumber.INFO });
        olderLogs.getLogger("old", "1", { attributes: { a: 1 } }).emit({ body: "b" });
        assert.deepEqual(read().map(({ scope, body }) => [scope, body]), [["new", "a"], [
          "old",
          "b",
        ]]);
      } finally {
        apiLogs.disable();
        olderLogs.disable();
      }
    });
  });

  it("never throw", () => {
    logging(({ logs, lost, read }) => {
      const logger = logs.getLogger("a");
      const bad = new Proxy({}, {
        get() {
          throw new Error("get");
        },
        has() {
          throw new Error("has");
        },
        ownKeys() {
          throw new RangeError("ownKeys");
        },
        getPrototypeOf() {
          throw new Error("getPrototypeOf");
        },
      });
      const cyclic: Record<string, unknown> = {};
      cyclic.self = cyclic;
      const values: unknown[] = [
        ...[null, undefined, 1, "text", Symbol("s"), 5n, () => 1, bad, cyclic, [], NaN],
        ...[new Date(NaN), new Map([[bad, bad]]), new Error("e"), Object.create(null)],
      ];
      const lines = warnings(() => {
        for (const value of values) {
          logger.emit(value as LogRecord);
          logger.enabled(value as { severityNumber: number });
          for (
            const field of [
              "timestamp",
              "observedTimestamp",
              "severityNumber",
              "severityText",
              "eventName",
              "body",
              "attributes",
              "exception",
              "context",
            ]
          ) {
            logger.emit({ [field]: value });
            logger.emit({ attributes: { [field]: value, list: [value] }, body: { in: value } });
          }
        }
      });
      assert.ok(lines.length > 0);
      // null, undefined and the proxy are no records; of the others only what throws is lost.
      assert.ok(lost(LOSS_ENCODE) >= 3 && lost(LOSS_ENCODE) < 10, `${lost(LOSS_ENCODE)} lost`);
      assert.equal(read().length + lost(LOSS_ENCODE), values.length * 19);
    });
  });

  it("take what their caller's data logs while it is read, but not into another record", () => {
    logging(({ logs, read, lost }) => {
      const logger = logs.getLogger("a");
      logger.emit({
        get body(): unknown {
          logger.emit({ body: "first", severityNumber: 1 });
          return {
            get inner(): number {
              logger.emit({ body: "lost" });
              return 1;
            },
          };
        },
        severityNumber: 2,
        attributes: {
          get late(): number {
            logger.emit({ body: "lost" });
            return 2;
          },
        },
      });
      assert.deepEqual(read().map(({ body, severityNumber }) => [body, severityNumber]), [
        ["first", 1],
        [{ inner: 1n }, 2],
      ]);
      assert.equal(lost(LOSS_ENCODE), 2);
    });
  });
});

describe("onEmit", () => {
  it("changes and drops records", () => {
    const seen: [string, Context][] = [];
    const context = trace.setSpan(ROOT_CONTEXT, foreign);
    const onEmit = (record: EmittedLogRecord, of: Context): boolean | void => {
      seen.push([record.instrumentationScope.name, of]);
      if (record.body === "noise") return false;
      record.attributes.added = true;
      delete record.attributes.secret;
      record.attributes["exception.message"] = "redacted";
      record.body = String(record.body).replace(/\d{4,}/g, "****");
      record.severityNumber = 17;
      record.eventName = "renamed";
      record.timestamp = [1, 2];
    };
    const attributes = { secret: "s", kept: 1 };
    logging(({ logs, read }) => {
      const logger = logs.getLogger("named");
      logger.emit({ body: "noise" });
      logger.emit({ body: "card 12345678", attributes, exception: new Error("12345678"), context });
      const all = read();
      assert.equal(all.length, 1);
      const { time, body, severityNumber, name, traceId, attributes: read1 } = all[0];
      assert.deepEqual({ time, body, severityNumber, name, traceId }, {
        time: 1_000_000_002n,
        body: "card ****",
        severityNumber: 17,
        name: "renamed",
        traceId: TRACE_ID,
      });
      const { "exception.stacktrace": stack, ...rest } = read1;
      assert.match(String(stack), /Error/);
      assert.deepEqual(rest, {
        kept: 1n,
        added: true,
        "exception.type": "Error",
        "exception.message": "redacted",
      });
    }, { onEmit });
    assert.deepEqual(attributes, { secret: "s", kept: 1 });
    assert.deepEqual(seen, [["named", ROOT_CONTEXT], ["named", context]]);
  });

  it("that throws drops the record", () => {
    logging(({ logs, read, lost }) => {
      const lines = warnings(() => logs.getLogger("a").emit({ body: "secret" }));
      assert.deepEqual(read(), []);
      assert.equal(lost(LOSS_ENCODE), 1);
      assert.match(lines[0], /onEmit threw/);
    }, {
      onEmit: () => {
        throw new Error("no");
      },
    });
  });

  it("is not asked about records below the minimum severity, and its change counts", () => {
    let asked = 0;
    logging(({ logs, read }) => {
      const logger = logs.getLogger("a");
      logger.emit({ severityNumber: 5 });
      logger.emit({ severityNumber: 17 });
      logger.emit({ severityNumber: 18 });
      assert.deepEqual(read().map((log) => log.severityNumber), [18]);
    }, {
      minimumSeverity: 9,
      onEmit: (record) => {
        asked++;
        if (record.severityNumber === 17) record.severityNumber = 5;
      },
    });
    assert.equal(asked, 2);
  });
});
