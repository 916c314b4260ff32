import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import { type Context, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import pino from "pino";
import { type Logging, startLogging } from "../../tests/support/logging.ts";
import { otlpDestination, type PinoDestination } from "./pino.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-pino-"));
after(() => rmSync(directory, { recursive: true }));

let active: Context = ROOT_CONTEXT;

function logging(body: (destination: PinoDestination, logging: Logging) => void): void {
  const started = startLogging(directory, { activeContext: () => active });
  try {
    body(otlpDestination({ logger: started.logs.getLogger("pino") }), started);
  } finally {
    active = ROOT_CONTEXT;
    started.recorder.close();
  }
}

describe("otlpDestination", () => {
  it("makes records of all levels", () => {
    logging((destination, { read }) => {
      const logger = pino({ level: "trace" }, destination);
      const before = BigInt(Date.now()) * 1_000_000n;
      const levels = ["trace", "debug", "info", "warn", "error", "fatal"] as const;
      for (const level of levels) logger[level]("message of %s", level);
      const all = read();
      assert.deepEqual(all.map(({ severityNumber }) => severityNumber), [1, 5, 9, 13, 17, 21]);
      assert.deepEqual(all.map(({ severityText }) => severityText), levels);
      assert.deepEqual(all.map(({ body }) => body), levels.map((level) => `message of ${level}`));
      for (const { time, attributes } of all) {
        assert.ok(time >= before && time <= BigInt(Date.now()) * 1_000_000n);
        assert.equal(time % 1_000_000n, 0n);
        assert.deepEqual(attributes, {});
      }
    });
  });

  it("makes attributes of fields, bindings and nested objects", () => {
    logging((destination, { read }) => {
      const logger = pino({ name: "app", mixin: () => ({ mixed: true }) }, destination);
      const child = logger.child({ user: { id: 7, tags: ["a"] } }).child({ request: "r1" });
      child.info({ items: 3, price: 0.5, none: null, at: new Date(0) }, "bought");
      child.info({ msg: "inside", pid: "mine" });
      child.info({ fields: "only" });
      const [first, second, third] = read();
      assert.deepEqual(first.attributes, {
        name: "app",
        user: { id: 7n, tags: ["a"] },
        request: "r1",
        mixed: true,
        items: 3n,
        price: 0.5,
        none: null,
        at: "1970-01-01T00:00:00.000Z",
      });
      assert.equal(first.body, "bought");
      assert.equal(second.body, "inside");
      assert.equal(second.attributes.pid, "mine");
      assert.equal(third.body, undefined);
      assert.equal(third.attributes.fields, "only");
    });
  });

  it("keeps pid and hostname of other processes", () => {
    logging((destination, { read }) => {
      pino({ base: { pid: 1, hostname: "elsewhere" } }, destination).info("a");
      pino({ base: { pid: process.pid, hostname: hostname() } }, destination).info("b");
      assert.deepEqual(read().map(({ attributes }) => attributes), [
        { pid: 1n, hostname: "elsewhere" },
        {},
      ]);
    });
  });

  it("makes exceptions of errors", () => {
    logging((destination, { read }) => {
      const logger = pino({}, destination);
      const error = Object.assign(new TypeError("broken"), { code: "E_BROKEN" });
      logger.error(error);
      logger.error({ err: error, a: 1 }, "failed");
      logger.error({ err: "no error" }, "text");
      pino({ errorKey: "error", messageKey: "message" }, destination).error(error, "named");
      const exception = {
        "exception.type": "TypeError",
        "exception.message": "broken",
        "exception.stacktrace": error.stack,
      };
      const all = read();
      assert.deepEqual(all.map(({ body, attributes }) => [body, attributes]), [
        ["broken", { err: { code: "E_BROKEN" }, ...exception }],
        ["failed", { a: 1n, err: { code: "E_BROKEN" }, ...exception }],
        ["text", { err: "no error" }],
        ["named", { error: { code: "E_BROKEN" }, ...exception }],
      ]);
    });
  });

  it("leaves what is logged under the nestedKey of the user's, but for errors", () => {
    logging((destination, { read }) => {
      const error = Object.assign(new TypeError("broken"), { code: "E_BROKEN" });
      const exception = {
        "exception.type": "TypeError",
        "exception.message": "broken",
        "exception.stacktrace": error.stack,
      };
      const options = { nestedKey: "payload", base: null };
      const logger = pino(options, destination).child({ request: "r1" });
      logger.info({ level: "hi", time: "never", msg: "no body", pid: process.pid }, "conflicting");
      logger.info("nothing nested");
      logger.error({ err: error, a: 1 }, "failed");
      logger.error(Object.assign(new RangeError("bare"), { stack: "where" }));
      pino({ ...options, errorKey: "error" }, pino.multistream([{ stream: destination }]))
        .error(error, "by way of others");
      // Nobody said that this is where pino nests.
      pino({ base: null }, destination).info({ payload: { err: { message: "m" } } }, "own");
      logger.info({ payload: { err: { message: "m" } } }, "deeper");
      const all = read();
      assert.ok(all.every(({ severityText, time }) => severityText !== "hi" && time > 0n));
      assert.deepEqual(all.map(({ body, attributes }) => [body, attributes]), [
        [
          "conflicting",
          {
            request: "r1",
            payload: { level: "hi", time: "never", msg: "no body", pid: BigInt(process.pid) },
          },
        ],
        ["nothing nested", { request: "r1" }],
        ["failed", { request: "r1", payload: { err: { code: "E_BROKEN" }, a: 1n }, ...exception }],
        [
          "bare",
          {
            request: "r1",
            "exception.type": "RangeError",
            "exception.message": "bare",
            "exception.stacktrace": "where",
          },
        ],
        ["by way of others", { payload: { error: { code: "E_BROKEN" } }, ...exception }],
        ["own", { payload: { err: { message: "m" } } }],
        ["deeper", { request: "r1", payload: { payload: { err: { message: "m" } } } }],
      ]);
    });
  });

  it("keeps redaction, serializers, formatters and levels of the user's", () => {
    logging((destination, { read }) => {
      const logger = pino({
        level: "low",
        customLevels: { low: 5, notice: 35, doom: 90 },
        redact: ["password", "user.secret"],
        serializers: { user: (user: object) => ({ ...user, seen: true }) },
        formatters: { level: (label) => ({ level: label.toUpperCase() }) },
      }, destination);
      logger.notice({ password: "p", user: { secret: "s", id: 1 } }, "a");
      logger.doom("b");
      logger.low("c");
      const all = read();
      assert.deepEqual(
        all.map(({ severityNumber, severityText }) => [severityNumber, severityText]),
        [
          [11, "notice"],
          [24, "doom"],
          [1, "low"],
        ],
      );
      assert.deepEqual(all[0].attributes, {
        password: "[Redacted]",
        user: { secret: "[Redacted]", id: 1n, seen: true },
      });
    });
  });

  it("takes times in all of pino's forms", () => {
    const forms = { ...pino.stdTimeFunctions, own: () => ',"time":"yesterday"' };
    for (const [name, timestamp] of Object.entries(forms)) {
      logging((destination, { read }) => {
        const before = Math.floor(Date.now() / 1000) * 1000;
        pino({ timestamp }, destination).info(name);
        const [{ time, attributes }] = read();
        const millis = Number(time / 1_000_000n);
        assert.ok(millis >= before && millis <= Date.now() + 1000, `${name}: ${time}`);
        assert.deepEqual(attributes, {});
      });
    }
    logging((destination, { read }) => {
      destination.write('{"level":30,"time":"2026-01-02T03:04:05.123456789Z","msg":"exact"}\n');
      assert.equal(read()[0].time, BigInt(Date.UTC(2026, 0, 2, 3, 4, 5)) * 1_000_000n + 123456789n);
    });
  });

  it("belongs to the span that is active at the call", () => {
    logging((destination, { read, tracer }) => {
      const logger = pino({}, destination);
      const span = tracer.startSpan("span");
      logger.info("outside");
      active = trace.setSpan(ROOT_CONTEXT, span);
      logger.info("inside");
      active = ROOT_CONTEXT;
      assert.deepEqual(read().map(({ spanId }) => spanId), ["", span.spanContext().spanId]);
    });
  });

  it("works alone, and beside other destinations", () => {
    logging((destination, { read }) => {
      pino(destination).info("alone");
      const lines: string[] = [];
      const both = pino(
        { level: "debug", errorKey: "error" },
        pino.multistream([
          { level: "debug", stream: { write: (line: string) => void lines.push(line) } },
          { level: "warn", stream: destination },
        ]),
      );
      both.debug("debug");
      both.child({ a: 1 }).error(new Error("e"), "warn");
      both.flush();
      assert.equal(lines.length, 2);
      const all = read();
      assert.deepEqual(all.map(({ body }) => body), ["alone", "warn"]);
      assert.equal(all[1].attributes["exception.message"], "e");
      assert.equal(all[1].attributes.a, 1n);
      assert.equal(all[1].severityNumber, 17);
    });
  });

  it("calls back when asked to flush, and takes lines that are no JSON", () => {
    logging((destination, { read }) => {
      let flushed = 0;
      pino({}, destination).flush(() => void flushed++);
      assert.equal(flushed, 1);
      for (const line of ["no JSON\n", "null\n", "7\n", "\n"]) destination.write(line);
      assert.deepEqual(read().map(({ body }) => body), ["no JSON", "null", "7", ""]);
    });
  });
});
