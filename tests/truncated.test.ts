/**
 * Files that are damaged by somebody else while they are written and read: that costs these files, and
 * nobody else.
 */
import assert from "node:assert/strict";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { until } from "../collector/testing/run.ts";
import { Writer } from "../lib/writer.ts";
import { startSink } from "./peers/sink.ts";
import { plainAttributes, receivedBy, startCollector } from "./support/collector.ts";
import { startWriter } from "./support/steady.ts";

const work = mkdtempSync(join(tmpdir(), "otlp-mmap-truncated-"));
after(() => rmSync(work, { recursive: true }));

/** What is done to a file, and whether its collector is to give it up. */
const HARM: Readonly<Record<string, { do(path: string): void; givenUp: boolean }>> = {
  "truncated to nothing": { do: (path) => truncateSync(path, 0), givenUp: true },
  "truncated to half": { do: (path) => truncateSync(path, statSync(path).size / 2), givenUp: true },
  "truncated and made long again": {
    do: (path) => {
      const { size } = statSync(path);
      truncateSync(path, 0);
      truncateSync(path, size);
    },
    givenUp: true,
  },
  "truncated and made long again, all the time": {
    do: (path) => {
      const { size } = statSync(path);
      for (let turn = 0; turn < 2000; turn++) truncateSync(path, turn % 2 === 0 ? 0 : size);
    },
    givenUp: true,
  },
  "replaced by another": {
    do: (path) => {
      copyFileSync(path, `${path}.new`);
      renameSync(`${path}.new`, path);
    },
    givenUp: false,
  },
};

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

describe("a collector", () => {
  it("loses nothing of other files when some are truncated or replaced under it", {
    timeout: 180_000,
  }, async () => {
    const sink = await startSink();
    const directories = Object.keys(HARM).map((_, i) => join(work, `victim-${i}`));
    const sound = join(work, "sound");
    for (const directory of [...directories, sound]) mkdirSync(directory);
    const collector = startCollector([
      "--endpoint",
      sink.url,
      "--flush-interval",
      "50",
      sound,
      ...directories,
    ]);
    const writer = Writer.create(join(sound, "sound.otlp"), {
      resource: { "service.name": "sound" },
      spans: { slots: 1024, slotBytes: 512 },
    });
    const scope = writer.scope({ name: "sound" });
    let written = 0;
    let stopping = false;
    // As fast as the collector takes them.
    const writing = (async () => {
      while (!stopping) {
        for (let i = 0; i < 100; i++) {
          const span = scope.startSpan(`sound ${written}`);
          if (span.started !== "written") break;
          span.end();
          written++;
        }
        await sleep(1);
      }
    })();
    const victims = await Promise.all(directories.map((path) => startWriter(path, "forever")));
    try {
      const state = collector.text;
      // All are followed by now.
      const seen = (): number =>
        new Set(
          receivedBy(sink).filter(({ span }) => span.name.startsWith("work"))
            .map(({ resource }) => plainAttributes(resource.resource!.attributes)["process.pid"]),
        ).size;
      await until("spans of all came", () => seen() === victims.length, { state });
      Object.values(HARM).forEach((harm, i) => harm.do(victims[i].file));
      const linesOf = (path: string): string[] =>
        collector.text().split("\n").filter((line) => line.includes(path));
      await until(
        "it says what is given up",
        () =>
          Object.values(HARM).every(({ givenUp }, i) =>
            !givenUp || linesOf(victims[i].file).length > 0
          ),
        { state },
      );
      // And goes on.
      const before = written;
      await until("the sound file is read on", () => written > before + 5000, { state });
      stopping = true;
      await writing;
      await Promise.all(victims.map((victim) => victim.stop("SIGKILL")));
      writer.close();
      await until("all spans of the sound file came", () => {
        const names = receivedBy(sink).filter(({ span }) => span.name.startsWith("sound"));
        return names.length === written;
      }, { state });
      const names = receivedBy(sink).map(({ span }) => span.name)
        .filter((name) => name.startsWith("sound"));
      assert.deepEqual(new Set(names).size, written);
      Object.entries(HARM).forEach(([what, { givenUp }], i) => {
        const lines = linesOf(victims[i].file).filter((line) => /given up/.test(line));
        assert.equal(lines.length, givenUp ? 1 : 0, `${what}: ${collector.text()}`);
      });
      const end = await collector.stop();
      assert.deepEqual(end, { code: 0, signal: null }, collector.text());
    } finally {
      stopping = true;
      await writing;
      await Promise.all(victims.map((victim) => victim.stop("SIGKILL")));
      await collector.stop("SIGKILL");
      await sink.stop();
    }
  });
});
