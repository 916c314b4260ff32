import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { after, before, describe, it } from "node:test";
import { type Context, context as contextApi, diag, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import winston from "winston";
import { type Logging, type ReadLog, startLogging } from "../../tests/support/logging.ts";
import { OtlpTransport, type WinstonOptions } from "./winston.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-winston-"));
const manager = new AsyncLocalStorageContextManager();
before(() => contextApi.setGlobalContextManager(manager.enable()));
after(() => {
  contextApi.disable();
  rmSync(directory, { recursive: true });
});

/** Logs by `body`, and reads what came of it once winston has had its turn. */
async function logged(
  body: (logger: winston.Logger, logging: Logging) => void | Promise<void>,
  options: winston.LoggerOptions = {},
  transportOptions: WinstonOptions = {},
): Promise<ReadLog[]> {
  const started = startLogging(directory, { activeContext: (): Context => contextApi.active() });
  const transport = new OtlpTransport({
    logger: started.logs.getLogger("winston"),
    ...transportOptions,
  });
  const logger = winston.createLogger({ level: "silly", transports: [transport], ...options });
  try {
    await body(logger, started);
    const finished = new Promise((resolve) => logger.once("finish", resolve));
    logger.end();
    await finished;
    return started.read();
  } finally {
    started.recorder.close();
  }
}

describe("OtlpTransport", () => {
  it("makes records of npm's levels", async () => {
    const levels = ["error", "warn", "info", "http", "verbose", "debug", "silly"];
    const all = await logged((logger) => {
      for (const level of levels) logger.log(level, `message of ${level}`);
    });
    assert.deepEqual(all.map(({ severityNumber }) => severityNumber), [17, 13, 9, 7, 6, 5, 1]);
    assert.deepEqual(all.map(({ severityText }) => severityText), levels);
    assert.deepEqual(all.map(({ body }) => body), levels.map((level) => `message of ${level}`));
    for (const { attributes } of all) assert.deepEqual(attributes, {});
  });

  it("makes records of syslog's levels, as the specification has them", async () => {
    const { levels } = winston.config.syslog;
    const all = await logged((logger) => {
      for (const level of Object.keys(levels)) logger.log(level, "m");
    }, { levels, level: "debug" });
    assert.deepEqual(
      Object.fromEntries(
        all.map(({ severityText, severityNumber }) => [severityText, severityNumber]),
      ),
      { emerg: 21, alert: 19, crit: 18, error: 17, warning: 13, notice: 10, info: 9, debug: 5 },
    );
    const own = await logged((logger) => void logger.log("mine", "m"), {
      levels: { mine: 0 },
      level: "mine",
    });
    assert.deepEqual([own[0].severityNumber, own[0].severityText], [0, "mine"]);
  });

  it("makes attributes of metadata, of child loggers and of nested objects", async () => {
    const [log] = await logged((logger) => {
      logger.child({ user: { id: 7, tags: ["a"] } }).info("bought", {
        items: 3,
        at: new Date(0),
        big: 10n,
        map: new Map([["k", new Set([1])]]),
        nested: { error: new RangeError("inner") },
        fn() {},
        absent: undefined,
      });
    }, { defaultMeta: { service: "shop" } });
    const { nested, ...rest } = log.attributes;
    assert.deepEqual(rest, {
      service: "shop",
      user: { id: 7n, tags: ["a"] },
      items: 3n,
      at: "1970-01-01T00:00:00.000Z",
      big: "10",
      map: { k: [1n] },
    });
    assert.match(String((nested as Record<string, unknown>).error), /RangeError: inner/);
    assert.equal(log.body, "bought");
  });

  it("makes exceptions of errors, wherever they are", async () => {
    const error = Object.assign(new TypeError("broken"), { code: "E_BROKEN" });
    const { format } = winston;
    const ways: [
      string,
      string,
      winston.Logform.Format | undefined,
      (logger: winston.Logger) => void,
    ][] = [
      ["alone", "broken", undefined, (logger) => void logger.error(error)],
      ["behind a text", "failed broken", undefined, (logger) => void logger.error("failed", error)],
      ["as a field", "failed", undefined, (logger) => void logger.error("failed", { err: error })],
      [
        "by format.errors",
        "broken",
        format.combine(format.errors({ stack: true }), format.json()),
        (logger) => void logger.error(error),
      ],
      [
        "as the message",
        "broken",
        undefined,
        (logger) => void logger.log({ level: "error", message: error as unknown as string }),
      ],
      [
        "with splat",
        "failed 7 broken",
        format.combine(format.splat(), format.simple()),
        (logger) => void logger.error("failed %d", 7, error),
      ],
    ];
    for (const [name, body, formats, log] of ways) {
      const [read] = await logged((logger) => log(logger), { format: formats });
      assert.equal(read.attributes["exception.type"], "TypeError", name);
      assert.equal(read.attributes["exception.stacktrace"], error.stack, name);
      assert.ok(["broken", body].includes(String(read.attributes["exception.message"])), name);
      assert.ok([body, "failed 7"].includes(String(read.body)), `${name}: ${read.body}`);
      assert.equal(read.attributes.stack, undefined, name);
    }
  });

  it("takes the time of format.timestamp, of the user, or of the call", async () => {
    const { format } = winston;
    const since = BigInt(Date.now()) * 1_000_000n;
    const isNow = (time: bigint) =>
      assert.ok(time >= since && time <= BigInt(Date.now()) * 1_000_000n, `${time}`);
    const [plain] = await logged((logger) => void logger.info("a"));
    isNow(plain.time);
    const [stamped] = await logged((logger) => void logger.info("a"), {
      format: format.combine(format.timestamp(), format.json()),
    });
    isNow(stamped.time);
    assert.deepEqual(stamped.attributes, {});
    const [given] = await logged((logger) =>
      void logger.info("a", { timestamp: "2026-01-02T03:04:05.678Z" })
    );
    assert.equal(given.time, BigInt(Date.UTC(2026, 0, 2, 3, 4, 5, 678)) * 1_000_000n);
    const [custom] = await logged((logger) => void logger.info("a"), {
      format: format.timestamp({ format: "HH:mm" }),
    });
    isNow(custom.time);
    assert.match(String(custom.attributes.timestamp), /^\d\d:\d\d$/);
  });

  it("belongs to the span that is active at the call, also when it comes late", async () => {
    const spans: string[] = [];
    const late = await logged((logger, { tracer }) => {
      // A logger that was made in this turn holds records back until the next.
      for (const name of ["a", "b"]) {
        const span = tracer.startSpan(name);
        spans.push(span.spanContext().spanId);
        contextApi.with(trace.setSpan(ROOT_CONTEXT, span), () => logger.info(name));
      }
      logger.info("outside");
    });
    assert.deepEqual(late.map(({ spanId }) => spanId), [...spans, ""]);

    const slow = new Writable({
      objectMode: true,
      highWaterMark: 1,
      write: (_info, _encoding, next) => void setTimeout(next, 5),
    });
    spans.length = 0;
    const held = await logged(async (logger, { tracer, read }) => {
      // What winston wants of a transport, and never calls.
      logger.add(Object.assign(slow, { log() {} }));
      await new Promise((resolve) => setTimeout(resolve, 1));
      for (const name of ["a", "b", "c", "d"]) {
        const span = tracer.startSpan(name);
        spans.push(span.spanContext().spanId);
        contextApi.with(
          trace.setSpan(ROOT_CONTEXT, span),
          () => logger.child({ n: 1 }).info(name),
        );
      }
      assert.ok(read().length < 4);
      while (read().length < 4) await new Promise((resolve) => setTimeout(resolve, 2));
    });
    assert.deepEqual(held.map(({ spanId }) => spanId), spans);
  });

  it("obeys level, silent and format", async () => {
    const warn = await logged(
      (logger) => {
        logger.info("no");
        logger.warn("yes");
      },
      {},
      { level: "warn" },
    );
    assert.deepEqual(warn.map(({ body }) => body), ["yes"]);
    const parent = await logged((logger) => {
      logger.info("no");
      logger.error("yes");
    }, { level: "error" });
    assert.deepEqual(parent.map(({ body }) => body), ["yes"]);
    assert.deepEqual(await logged((logger) => void logger.error("no"), {}, { silent: true }), []);
    const { format } = winston;
    const shaped = await logged(
      (logger) => {
        logger.info("drop");
        logger.info("keep");
      },
      { format: format.colorize({ all: false, level: true }) },
      {
        format: format((info) => info.message === "drop" ? false : { ...info, added: 1 })(),
      },
    );
    assert.equal(shaped.length, 1);
    assert.equal(shaped[0].severityText, "info");
    assert.equal(shaped[0].severityNumber, 9);
    assert.equal(shaped[0].attributes.added, 1n);
  });

  it("takes what winston knows of exceptions where it is asked to", async () => {
    const error = new Error("uncaught");
    const info = winston.exceptions.getAllInfo(error) as winston.LogEntry;
    const off = await logged((logger) => void logger.log({ ...info }));
    assert.deepEqual(off, []);
    const [log] = await logged((logger) => void logger.log({ ...info }), {}, {
      format: winston.format.json(),
    }).then(async () =>
      await logged((logger) => {
        const [transport] = logger.transports as unknown as OtlpTransport[];
        transport.handleExceptions = true;
        logger.log({ ...info });
      })
    );
    assert.equal(log.attributes["exception.message"], "uncaught");
    assert.equal(log.severityNumber, 17);
    assert.deepEqual(
      Object.keys(log.attributes).filter((key) => !key.startsWith("exception.")),
      [],
    );
  });

  it("lets go of a logger that lets go of it", async () => {
    await logged((logger) => {
      const [transport] = logger.transports;
      assert.ok(Object.hasOwn(logger, "write"));
      logger.remove(transport);
      assert.equal(logger.write, Object.getPrototypeOf(logger).write);
      logger.add(transport);
    });
  });

  it("takes any value as message and metadata", async () => {
    const circle: Record<string, unknown> = { a: 1 };
    circle.self = circle;
    const bad = {
      get field(): never {
        throw new Error("no");
      },
    };
    const all = await logged((logger) => {
      for (const value of [circle, null, undefined, 7, Symbol("s"), [1]]) {
        logger.log({ level: "info", message: value as unknown as string, value });
      }
      logger.info("hostile", { nested: bad, kept: 1 });
    }, { format: winston.format((info) => info)() });
    assert.equal(all.length, 7);
    assert.deepEqual(all[3].body, 7n);
    assert.deepEqual(all[6].attributes, { kept: 1n });
  });

  it("throws nothing into who logs, and takes what comes next", async () => {
    const lines: unknown[] = [];
    const hear = (...words: unknown[]) => void lines.push(words[0]);
    const quiet = () => {};
    diag.setLogger({ error: hear, warn: hear, info: quiet, debug: quiet, verbose: quiet });
    try {
      const refuse = (): never => {
        throw new Error("not to be read");
      };
      const format = {
        transform: (info: Record<string, unknown>) => info.bad === true ? refuse() : info,
      };
      const all = await logged(
        (logger) => {
          logger.info("one", { bad: true });
          logger.info("two", { bad: true });
          const odd = { level: "info", message: "odd" };
          const { proxy, revoke } = Proxy.revocable({}, {});
          revoke();
          // Not enumerable: winston's own format would throw.
          for (const field of ["error", "err", "exception"]) {
            logger.log(Object.defineProperty({ ...odd }, field, { get: refuse }));
            logger.log(Object.defineProperty({ ...odd }, field, { value: proxy }));
          }
          logger.info("last");
        },
        {},
        { format },
      );
      // One of them can't say whether it is of a handler of exceptions.
      assert.deepEqual(all.map(({ body }) => body), [...Array(5).fill("odd"), "last"]);
    } finally {
      diag.disable();
    }
    assert.deepEqual(lines, ["OtlpTransport: a record can't be formatted, and is lost"]);
  });

  it("is made of options that are none, too", () => {
    for (const options of [null, undefined, {}, { logger: null }, { logger: {} }, 5, "x"]) {
      assert.equal(new OtlpTransport(options as WinstonOptions).level, undefined);
    }
  });
});
