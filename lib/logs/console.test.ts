import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { format } from "node:util";
import { diag, type Logger, logs as apiLogs } from "@opentelemetry/api";
import { ROOT } from "../../tools/runtimes.ts";
import { type Logging, readLogs, startLogging } from "../../tests/support/logging.ts";
import { commandLineOf, ownRuntime, plainEnvironment } from "../../tests/support/runtimes.ts";
import { captureConsole, type ConsoleMethod, type ConsoleOptions } from "./console.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-console-"));
after(() => rmSync(directory, { recursive: true }));

const METHODS: ConsoleMethod[] = ["trace", "debug", "log", "info", "warn", "error", "assert"];

function call(method: ConsoleMethod, args: unknown[]): void {
  (console[method] as (...args: unknown[]) => void)(...args);
}

/** Runs `body` with a console that only notes what it is told to print, captured. */
function captured(
  body: (tools: Logging & { printed: [string, unknown[]][]; undo: () => void }) => void,
  options: ConsoleOptions = {},
): void {
  const started = startLogging(directory);
  const printed: [string, unknown[]][] = [];
  const original = Object.fromEntries(METHODS.map((method) => [method, console[method]]));
  for (const method of METHODS) {
    console[method] = (...args: unknown[]) => void printed.push([method, args]);
  }
  const undo = captureConsole({ logger: started.logs.getLogger("console"), ...options });
  try {
    body({ ...started, printed, undo });
  } finally {
    undo();
    Object.assign(console, original);
    started.recorder.close();
  }
}

describe("captureConsole", () => {
  it("takes options that are none, and says which of them it can't use", () => {
    const lines: string[] = [];
    const hear = (...words: unknown[]) => void lines.push(words.join(" "));
    const quiet = () => {};
    diag.setLogger({ error: hear, warn: hear, info: quiet, debug: quiet, verbose: quiet });
    try {
      for (const options of [null, undefined, {}, { logger: null, levels: null }]) {
        captureConsole(options as ConsoleOptions)();
      }
      assert.deepEqual(lines, []);
      captureConsole({ logger: {} } as ConsoleOptions)();
      assert.match(lines.pop()!, /^captureConsole: the logger has no emit/);
      for (const levels of [["shout", Symbol("s")], 5, [null], ["warn", {}]] as unknown[]) {
        captured(({ read, printed }) => {
          console.warn("w");
          console.log("l");
          assert.equal(printed.length, 2);
          const isAmong = [levels].flat().includes("warn");
          assert.deepEqual(read().map(({ body }) => body), isAmong ? ["w"] : []);
        }, { levels } as ConsoleOptions);
        assert.match(lines.pop()!, /^captureConsole\(\{ levels: .* \}\): not among trace, /);
      }
      captured(({ read }) => {
        console.warn("w");
        assert.equal(read().length, 1);
      }, { levels: "warn" } as unknown as ConsoleOptions);
      assert.deepEqual(lines, []);
    } finally {
      diag.disable();
    }
  });

  it("records with loggers that don't say whether they are enabled", () => {
    const bodies: unknown[] = [];
    const logger = { emit: ({ body }: { body?: unknown }) => void bodies.push(body) } as Logger;
    captured(() => console.info("as before"), { logger });
    assert.deepEqual(bodies, ["as before"]);
  });

  it("leaves a console alone that can't be changed", () => {
    captured(() => {
      const { warn } = console;
      Object.defineProperty(console, "warn", { value: warn, writable: false, configurable: true });
      captureConsole({ levels: ["warn"] })();
      assert.equal(console.warn, warn);
      Object.defineProperty(console, "warn", { value: warn, writable: true, configurable: true });
    });
  });

  it("makes a record of every call, and prints as before", () => {
    captured(({ read, printed }) => {
      const circle: Record<string, unknown> = {};
      circle.self = circle;
      const calls: [ConsoleMethod, unknown[]][] = [
        ["trace", ["here"]],
        ["debug", ["%s is %d%%", "it", 50]],
        ["log", ["a", 1, { b: [2] }, null, undefined]],
        ["info", []],
        ["warn", [circle]],
        ["error", ["%o", { a: 1 }]],
      ];
      for (const [method, args] of calls) call(method, args);
      assert.deepEqual(printed, calls);
      const severities = [1, 5, 9, 9, 13, 17];
      read().forEach((log, i) => {
        const [method, args] = calls[i];
        assert.equal(log.severityNumber, severities[i]);
        assert.equal(log.severityText, method);
        assert.equal(log.body, format(...args));
        assert.deepEqual(log.attributes, {});
      });
      assert.equal(read().length, calls.length);
    });
  });

  it("makes an exception of the first Error", () => {
    captured(({ read, printed }) => {
      const error = new TypeError("broken");
      const args = ["failed:", error, new Error("another")];
      console.error(...args);
      assert.deepEqual(printed, [["error", args]]);
      const [log] = read();
      assert.ok((log.body as string).startsWith("failed: TypeError: broken Error: another\n"));
      assert.deepEqual(log.attributes, {
        "exception.type": "TypeError",
        "exception.message": "broken",
        "exception.stacktrace": error.stack,
      });
      console.error(error);
      assert.equal(read()[1].body, "TypeError: broken");
    });
  });

  it("changes nothing of what a program prints", async () => {
    const ends = await Promise.all(["without", "with"].map(async (capture) => {
      const file = join(directory, `${capture}.otlp`);
      const program = join(ROOT, "lib/logs/testing/printing.ts");
      const [command, ...args] = commandLineOf(ownRuntime, program, [file, capture]);
      const child = spawn(command, args, { env: plainEnvironment() });
      const texts = ["", ""];
      for (const [i, stream] of [child.stdout, child.stderr].entries()) {
        stream.setEncoding("utf8").on("data", (text: string) => texts[i] += text);
      }
      const [code] = await once(child, "close");
      // Bun shows other columns and fewer frames when it has collected garbage meanwhile.
      if (ownRuntime === "bun") texts[1] = texts[1].replace(/^ *(\^|at .*)\n/gm, "");
      return { end: [code, ...texts], logs: readLogs(file) };
    }));
    assert.deepEqual(ends[1].end, ends[0].end);
    assert.equal(ends[0].end[0], 1);
    assert.ok(ends[0].logs.length === 0 && ends[1].logs.length >= 8);
    const failed = ends[1].logs.find(({ body }) => String(body).startsWith("failed:"));
    assert.match(
      String(failed?.attributes["exception.stacktrace"]),
      /^OwnError: broken\n +at .*printing/,
    );
  });

  it("takes assertions that fail", () => {
    captured(({ read, printed }) => {
      console.assert(true, "fine");
      console.assert(false);
      call("assert", [0, "%d left", 3]);
      call("assert", [null, { a: 1 }]);
      assert.equal(printed.length, 4);
      assert.deepEqual(read().map(({ body, severityNumber }) => [body, severityNumber]), [
        ["Assertion failed", 17],
        ["Assertion failed: 3 left", 17],
        [format("Assertion failed:", { a: 1 }), 17],
      ]);
    });
  });

  it("takes the methods that are asked for, until it is undone", () => {
    captured(({ read, printed, undo }) => {
      console.log("no");
      console.warn("yes");
      undo();
      console.warn("not any more");
      assert.deepEqual(read().map(({ body }) => body), ["yes"]);
      assert.equal(printed.length, 3);
    }, { levels: ["warn", "error"] });
  });

  it("leaves what others put around it when it is undone", () => {
    captured(({ read, printed, undo }) => {
      const inner = console.log;
      const outer = (...args: unknown[]) => inner("outer", ...args);
      console.log = outer;
      console.log(1);
      undo();
      assert.equal(console.log, outer);
      console.log(2);
      assert.deepEqual(read().map(({ body }) => body), ["outer 1"]);
      assert.deepEqual(printed, [["log", ["outer", 1]], ["log", ["outer", 2]]]);
    });
  });

  it("makes one record where it is called twice", () => {
    captured(({ read, logs, printed }) => {
      const undo = captureConsole({ logger: logs.getLogger("second") });
      console.log("once");
      undo();
      console.log("again");
      assert.deepEqual(read().map(({ scope, body }) => [scope, body]), [["second", "once"], [
        "console",
        "again",
      ]]);
      assert.equal(printed.length, 2);
    });
  });

  it("only prints what is printed about a record", () => {
    let emitted = 0;
    const logger: Logger = {
      enabled: () => true,
      emit() {
        emitted++;
        console.error("the SDK has trouble");
        throw new Error("and throws");
      },
    };
    captured(({ printed }) => {
      console.log({
        toString() {
          console.log("while shown");
          return "";
        },
      });
      console.log("%s", { [Symbol.for("nodejs.util.inspect.custom")]: () => console.log("too") });
      assert.equal(emitted, 2);
      assert.deepEqual(printed.filter(([, args]) => args[0] === "the SDK has trouble").length, 2);
    }, { logger });
  });

  it("does not fail where an argument can't be shown", () => {
    captured(({ read, printed }) => {
      const bad = {
        [Symbol.for("nodejs.util.inspect.custom")]() {
          throw new Error("no");
        },
      };
      console.log(bad);
      console.log("fine");
      assert.equal(printed.length, 2);
      assert.equal(read().at(-1)!.body, "fine");
    });
  });

  it("does not format what nobody wants", () => {
    let shown = 0;
    const quiet: Logger = { enabled: () => false, emit: () => assert.fail("emitted") };
    captured(() => {
      console.log("%s", {
        [Symbol.for("nodejs.util.inspect.custom")]() {
          shown++;
        },
      });
      assert.equal(shown, 0);
    }, { logger: quiet });
  });

  it("uses the global provider, whichever comes first", () => {
    const started = startLogging(directory);
    captured(({ undo }) => {
      undo();
      const off = captureConsole({ levels: ["info"] });
      console.info("before");
      apiLogs.setGlobalLoggerProvider(started.logs);
      console.info("hello");
      off();
      apiLogs.disable();
      assert.deepEqual(started.read().map(({ scope, body }) => [scope, body]), [[
        "console",
        "hello",
      ]]);
    });
    started.recorder.close();
  });
});
