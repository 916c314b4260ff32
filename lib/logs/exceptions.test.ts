import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { ROOT } from "../../tools/runtimes.ts";
import { readLogs } from "../../tests/support/logging.ts";
import { commandLineOf, ownRuntime, plainEnvironment } from "../../tests/support/runtimes.ts";
import { captureExceptions, type ExceptionOptions } from "./exceptions.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-exceptions-"));
after(() => rmSync(directory, { recursive: true }));

/** All that can be seen of a process from outside. */
interface End {
  code: number | null;
  signal: string | null;
  out: string;
  error: string;
}

let files = 0;

async function die(capture: string, how: string, listeners: string, flags: string[]) {
  const file = join(directory, `${++files}.otlp`);
  const program = join(ROOT, "lib/logs/testing/dying.ts");
  const [command, ...args] = commandLineOf(
    ownRuntime,
    program,
    [file, capture, how, listeners],
    flags,
  );
  const child = spawn(command, args, { env: plainEnvironment() });
  const end: End = { code: null, signal: null, out: "", error: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => end.out += text);
  child.stderr.setEncoding("utf8").on("data", (text: string) => end.error += text);
  [end.code, end.signal] = await once(child, "close");
  // A warning of the runtime says the process it is about.
  end.error = end.error.replaceAll(String(child.pid), "PID");
  // Bun shows other columns and fewer frames when it has collected garbage since the error was made.
  if (ownRuntime === "bun") end.error = end.error.replace(/^ *(\^|at .*)\n/gm, "");
  return { end, logs: readLogs(file) };
}

/** Dies once with and once without capture, in the same way as far as can be seen. */
async function dieTwice(how: string, listeners = "none", flags: string[] = []) {
  const [plain, captured] = await Promise.all([
    die("without", how, listeners, flags),
    die("with", how, listeners, flags),
  ]);
  assert.deepEqual(captured.end, plain.end);
  assert.deepEqual(plain.logs, []);
  return captured;
}

describe("captureExceptions", () => {
  it("takes options that are none", () => {
    for (const options of [null, undefined, {}, { logger: null }, { logger: 5 }]) {
      captureExceptions(options as ExceptionOptions)();
    }
  });

  const deaths: [how: string, body: string, type?: string][] = [
    ["later", "uncaught exception: TypeError: thrown later", "TypeError"],
    ["tick", "uncaught exception: OwnError: thrown in a tick", "OwnError"],
    ["reject", "unhandled rejection: OwnError: rejected", "OwnError"],
    ["async", "unhandled rejection: OwnError: rejected later", "OwnError"],
    ["throw", "unhandled rejection: OwnError: thrown", "OwnError"],
  ];
  for (const [how, body, type] of deaths) {
    it(`writes what a process dies of: ${how}`, async () => {
      const { end, logs } = await dieTwice(how);
      assert.equal(end.code, 1);
      assert.ok(end.error.includes(body.split(": ").at(-1)!), end.error);
      assert.equal(logs.length, 1);
      const [log] = logs;
      assert.equal(log.body, body);
      assert.equal(log.scope, "exceptions");
      assert.equal(log.severityNumber, 21);
      assert.equal(log.severityText, "FATAL");
      assert.equal(log.attributes["exception.type"], type);
      assert.equal(log.attributes["exception.message"], body.split(": ").at(-1));
      assert.match(String(log.attributes["exception.stacktrace"]), /dying\.ts/);
    });
  }

  it("writes reasons that are no errors", async () => {
    for (const how of ["text", "nothing", "object"]) {
      const { end, logs } = await dieTwice(how);
      assert.equal(end.code, 1);
      assert.equal(logs.length, 1);
      assert.match(String(logs[0].body), /^unhandled rejection: /);
    }
  });

  it("keeps rejections that come together in order", async () => {
    const { end, logs } = await dieTwice("two");
    assert.equal(end.code, 1);
    const bodies = logs.map(({ body }) => body);
    // Where the first ends the process, the second is not heard of.
    assert.deepEqual(
      bodies,
      ["first", "second"].slice(0, bodies.length).map((text) =>
        `unhandled rejection: OwnError: ${text}`
      ),
    );
    assert.ok(bodies.length > 0);
  });

  it("leaves to other listeners what they take", async () => {
    for (const listeners of ["rejection", "once"]) {
      const { end, logs } = await dieTwice("reject", listeners);
      assert.equal(end.code, 0);
      assert.match(end.out, /rejection\nalive/);
      assert.deepEqual(logs, []);
    }
    const { end, logs } = await dieTwice("later", "exception");
    assert.equal(end.code, 0);
    assert.match(end.out, /exception\nalive/);
    assert.equal(logs.length, 1);
    await dieTwice("reject", "exception");
    await dieTwice("two", "once");
  });

  it("has nothing to do with other ends", async () => {
    for (const how of ["taken", "exit"]) assert.deepEqual((await dieTwice(how)).logs, []);
  });

  it("can be undone", async () => {
    for (const how of ["later", "reject"]) {
      const [plain, undone] = await Promise.all([
        die("without", how, "none", []),
        die("undone", how, "none", []),
      ]);
      assert.deepEqual(undone, plain);
    }
  });

  // A flag of Bun's.
  ownRuntime === "bun" && it("follows what Bun is told to do about rejections", async () => {
    const codes = { strict: 1, throw: 1, "warn-with-error-code": 1, warn: 0, none: 0 };
    for (const [mode, code] of Object.entries(codes)) {
      const { end, logs } = await dieTwice("reject", "none", [`--unhandled-rejections=${mode}`]);
      assert.equal(end.code, code, mode);
      assert.equal(logs.length, 1, mode);
    }
  });
});
