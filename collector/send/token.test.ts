import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { Writer } from "../../lib/writer.ts";
import { observe } from "../../tests/support/collector.ts";
import { ownRuntime } from "../../tests/support/runtimes.ts";
import { until } from "../testing/run.ts";
import { startHttpBackend } from "../testing/servers.ts";
import { watchToken } from "./token.ts";
import { LOOK_MS, watchFiles } from "./watched-files.ts";

const root = mkdtempSync(join(tmpdir(), "otlp-mmap-token-"));
after(() => rmSync(root, { recursive: true }));

describe("watched files", () => {
  it("are read again when they change, at most once a second", () => {
    const path = join(root, "watched");
    writeFileSync(path, "one");
    let time = 0;
    let made = 0;
    const lines: string[] = [];
    const watched = watchFiles({
      paths: [path],
      make: ([text]) => {
        made++;
        if (text === "") throw new Error("empty");
        return { text };
      },
      what: "the thing",
      log: (level, message) => void lines.push(`${level} ${message}`),
      now: () => time,
    });
    const first = watched();
    assert.equal(first.text, "one");
    writeFileSync(path, "two");
    time += LOOK_MS - 1;
    assert.equal(watched(), first);
    time += 1;
    assert.equal(watched().text, "two");
    // The same object while nothing changes.
    const second = watched();
    for (let i = 0; i < 3; i++) {
      time += LOOK_MS;
      assert.equal(watched(), second);
    }
    assert.equal(made, 2);
    // By rename, with the same length.
    writeFileSync(`${path}.new`, "six");
    renameSync(`${path}.new`, path);
    time += LOOK_MS;
    const third = watched();
    assert.equal(third.text, "six");
    assert.deepEqual(lines.splice(0), Array(2).fill("info the thing was read again"));

    // Bad, then gone, then good: said once each way.
    for (const spoil of [() => writeFileSync(path, ""), () => rmSync(path)]) {
      spoil();
      for (let i = 0; i < 3; i++) {
        time += LOOK_MS;
        assert.equal(watched(), third);
      }
    }
    assert.equal(lines.length, 1);
    assert.match(lines[0], /^warn the thing can't be read again, the one before stays .*: empty$/);
    writeFileSync(path, "new");
    time += LOOK_MS;
    assert.equal(watched().text, "new");
    assert.deepEqual(lines.slice(1), ["info the thing was read again"]);
  });
});

describe("a token in a file", () => {
  it("is trimmed, and refused without being said", () => {
    const path = join(root, "token");
    writeFileSync(path, "  hunter2\n");
    const file = { path, source: "--bearer-token-file" };
    assert.equal(watchToken(file, () => {}).value(), "Bearer hunter2");
    for (const text of ["", " \n", "hunter2 hunter3", "hunter2\nHost: x", "hünter2"]) {
      writeFileSync(path, text);
      assert.throws(() => watchToken(file, () => {}), (error: Error) => {
        assert.match(error.message, /^the file (is empty|holds more than a token)/);
        return !error.message.includes("nter2");
      });
    }
  });

  it("rotates while the collector follows", async () => {
    const path = join(root, "rotating");
    const { port, seen } = await startHttpBackend((response, _, count) => {
      response.writeHead(count === 1 ? 401 : 200).end();
    });
    writeFileSync(path, "first-secret\n");
    const config = join(root, "rotating.yaml");
    writeFileSync(
      config,
      `collect:\n  endpoint: http://127.0.0.1:${port}\n  bearer_token_file: ${path}\n`,
    );
    const source = `${config}: collect.bearer_token_file`;
    const writer = Writer.create(join(root, "app.otlp"));
    const scope = writer.scope({ name: "s" });
    const collector = observe(ownRuntime, "collector/main.ts", [
      "collect",
      join(root, "app.otlp"),
      "--config",
      config,
    ], {
      env: { OTEL_EXPORTER_OTLP_HEADERS: "Authorization=Bearer%20variable-secret" },
    });
    const recording = (what: string, condition: () => boolean): Promise<void> =>
      until(what, () => {
        scope.startSpan("s").end();
        return condition();
      }, { state: collector.text });
    const sent = (token: string): Promise<void> =>
      recording(`sent ${token}`, () => seen.at(-1)?.headers.authorization === `Bearer ${token}`);
    try {
      await sent("first-secret");
      writeFileSync(path, "");
      const warned = `warn: the token of ${source} can't be read again`;
      await recording("a warning", () => collector.text().includes(warned));
      writeFileSync(`${path}.new`, "second-secret");
      renameSync(`${path}.new`, path);
      await sent("second-secret");
      assert.equal((await collector.stop()).code, 0);
      const shown = new Set(seen.map(({ headers }) => headers.authorization));
      assert.deepEqual([...shown], ["Bearer first-secret", "Bearer second-secret"]);
      const text = collector.text();
      assert.match(text, /401.*check the credentials in authorization \(from /);
      assert.ok(text.includes(`authorization (from ${source})`), text);
      assert.ok(text.includes(`the token of ${source} was read again`), text);
      assert.doesNotMatch(text, /-secret/);
    } finally {
      await collector.stop("SIGKILL");
      writer.close();
    }
  });
});
