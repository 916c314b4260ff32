/**
 * Damaged files and messages through the functions that read them: nothing crashes, hangs or grows.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import { Buffer } from "node:buffer";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { toOtlpJson } from "../collector/text/otlp-json.ts";
import type { Signal } from "../lib/otlp/request.ts";
import { MemoryCollector, memoryFile } from "./support/collect.ts";
import {
  countReached,
  damageMeasurements,
  measurementsOf,
  ownMeasurements,
} from "./support/fuzz/measurements.ts";
import { mutate, regionsOf } from "./support/fuzz/mutate.ts";
import { seeds } from "./support/fuzz/seeds.ts";
import {
  collectFile,
  inspectFile,
  lookAt,
  OF_A_STRANGER,
  receiveJson,
  receiveRequest,
  recoverFile,
  SCHEMAS,
} from "./support/fuzz/targets.ts";
import { collectGarbage } from "./support/garbage.ts";
import { Random, seed } from "./support/random.ts";
import { isFullSize } from "./support/runtimes.ts";

const work = mkdtempSync(join(tmpdir(), "otlp-mmap-fuzz-"));
after(() => rmSync(work, { recursive: true }));

const CASES = isFullSize ? 1_000_000 : 50_000;
/** Processor time that a case may take, microseconds. */
const CASE_LIMIT = 1_000_000;
/** After so many cases what weak references name may go. */
const PAUSE = 50;
/** After so many garbage is collected, so that a million need no more than these, however seldom the runtime does. */
const COLLECTION = 1000;
/** Memory that all of them may add to the process, bytes. */
const MEMORY_LIMIT = 256 << 20;
/** The same at any time, with the garbage that nobody has collected. */
const PEAK_LIMIT = 384 << 20;
/** The most memory that there was between cases, bytes. */
let peak = 0;

/** Between cases. */
async function pause(i: number): Promise<void> {
  if (i % PAUSE !== 0) return;
  peak = Math.max(peak, process.memoryUsage().rss);
  if (i % COLLECTION === 0) collectGarbage();
  await new Promise((resolve) => setImmediate(resolve));
}

/** Runs a case; a fault names the seed and shows the bytes. */
function attempt(what: string, number: number, bytes: Uint8Array, run: () => unknown): void {
  const begun = process.cpuUsage();
  try {
    run();
  } catch (error) {
    const shown = Buffer.from(bytes.subarray(0, 16384)).toString("base64");
    throw new Error(`${what}, seed ${seed}, case ${number}: ${(error as Error).stack}\n${shown}`);
  }
  const { user, system } = process.cpuUsage(begun);
  if (user + system < CASE_LIMIT) return;
  // Once more: it may have been the collection of garbage.
  const again = process.cpuUsage();
  run();
  const once = process.cpuUsage(again);
  assert.ok(once.user + once.system < CASE_LIMIT, `${what}, seed ${seed}, case ${number} is slow`);
}

/** Requests as they come out of the seeds. */
function requestsOf(files: readonly Uint8Array[]): { signal: Signal; body: Uint8Array }[] {
  const requests: { signal: Signal; body: Uint8Array }[] = [];
  for (const bytes of files.slice(0, 3)) {
    const collector = new MemoryCollector();
    collector.add(memoryFile(bytes));
    collector.rounds();
    collector.interrupt();
    collector.spans();
    for (const request of collector.requests) {
      requests.push({ signal: "traces", body: toBinary(SCHEMAS.traces, request) });
    }
    for (const { log, scope, resource } of collector.logs()) {
      const scopeLogs = [{ ...scope, logRecords: [log] }];
      const request = {
        $typeName: SCHEMAS.logs.typeName,
        resourceLogs: [{ ...resource, scopeLogs }],
      };
      requests.push({ signal: "logs", body: toBinary(SCHEMAS.logs, request) });
    }
    for (const { metric, scope, resource } of collector.metrics()) {
      const scopeMetrics = [{ ...scope, metrics: [metric] }];
      const resourceMetrics = [{ ...resource, scopeMetrics }];
      const request = { $typeName: SCHEMAS.metrics.typeName, resourceMetrics };
      requests.push({ signal: "metrics", body: toBinary(SCHEMAS.metrics, request) });
    }
  }
  return requests;
}

describe(`fuzzing, seed ${seed}`, () => {
  const files = seeds();
  const regions = files.map(regionsOf);
  const memory = process.memoryUsage().rss;
  after(async () => {
    collectGarbage();
    // What weak references named goes now.
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    const kept = process.memoryUsage().rss - memory;
    const most = peak - memory;
    const text = `${most >> 20} MiB more memory, ${kept >> 20} after a collection`;
    console.log(text);
    assert.ok(most < PEAK_LIMIT && kept < MEMORY_LIMIT, text);
  });

  it("reads every kept file", () => {
    files.forEach((bytes, i) => {
      attempt("kept", i, bytes, () => collectFile(bytes));
      attempt("kept", i, bytes, () => recoverFile(bytes));
      attempt("kept", i, bytes, () => inspectFile(join(work, "kept"), bytes));
    });
  });

  it(`reads ${CASES} damaged files as the collector, recover and inspect do`, {
    timeout: isFullSize ? 3_600_000 : 900_000,
  }, async () => {
    const random = new Random();
    const path = join(work, "damaged");
    const outcomes = new Set<string>();
    let inspected = 0;
    for (let i = 0; i < CASES; i++) {
      await pause(i);
      const of = random.below(files.length);
      const bytes = mutate(files[of], regions[of], files, random);
      attempt("collect", i, bytes, () => outcomes.add(collectFile(bytes)));
      if (i % 5 === 0) attempt("recover", i, bytes, () => outcomes.add(recoverFile(bytes)));
      if (i % 5 !== 1) continue;
      let looked = "";
      attempt("look", i, bytes, () => outcomes.add(looked = lookAt(path, bytes)));
      // Asking who maps a file of a stranger takes long where there are many processes.
      if (looked === OF_A_STRANGER && i % 250 !== 1) continue;
      inspected++;
      attempt("inspect", i, bytes, () => outcomes.add(inspectFile(path, bytes)));
    }
    // Were all refused at the door, nothing would have been tried.
    assert.ok(outcomes.size > 500, `${outcomes.size} outcomes`);
    assert.ok(inspected > CASES / 10, `${inspected} inspected`);
  });

  it(`reads ${CASES / 25} files with measurements of our writers that are damaged`, {
    timeout: 1_200_000,
  }, async () => {
    const random = new Random(seed + 3);
    const own = ownMeasurements();
    const where = measurementsOf(own);
    const outcomes = new Set<string>();
    const reached = await countReached(async () => {
      for (let i = 0; i < CASES / 25; i++) {
        await pause(i);
        const bytes = damageMeasurements(own, where, random);
        attempt("measurements", i, bytes, () => outcomes.add(collectFile(bytes)));
      }
    });
    // What was to be tried was reached, and not in the first file alone.
    for (const [what, count] of Object.entries(reached)) {
      assert.ok(count > CASES / 50, `${what}: ${count} times`);
    }
    assert.ok(outcomes.size > 5, `${outcomes.size} outcomes`);
  });

  it("takes damaged requests apart as the receiver does", { timeout: 600_000 }, async () => {
    const random = new Random(seed + 1);
    const requests = requestsOf(files);
    assert.deepEqual(new Set(requests.map(({ signal }) => signal)).size, 3);
    const bodies = requests.map(({ body }) => body);
    const outcomes = new Set<string>();
    for (let i = 0; i < CASES / 2; i++) {
      await pause(i);
      const { signal, body } = random.pick(requests);
      const bytes = mutate(body, [{ start: 0, end: body.length }], bodies, random);
      attempt(signal, i, bytes, () => outcomes.add(receiveRequest(signal, bytes)));
    }
    assert.ok(outcomes.has("taken") && outcomes.size > 20, [...outcomes].join("\n"));
  });

  it("takes damaged OTLP/JSON apart", { timeout: 600_000 }, async () => {
    const random = new Random(seed + 2);
    const texts = requestsOf(files).map(({ signal, body }) => {
      fromBinary(SCHEMAS[signal], body);
      return new TextEncoder().encode(toOtlpJson(signal, body));
    });
    const outcomes = new Set<string>();
    const decoder = new TextDecoder();
    for (let i = 0; i < CASES / 5; i++) {
      await pause(i);
      const bytes = random.pick(texts);
      const changed = mutate(bytes, [{ start: 0, end: bytes.length }], texts, random);
      const text = random.below(2) === 0
        ? decoder.decode(changed)
        : swapped(decoder.decode(bytes), random);
      attempt("json", i, changed, () => outcomes.add(receiveJson(text)));
    }
    assert.ok(outcomes.has("taken") && outcomes.size > 20, [...outcomes].join("\n"));
  });
});

const WORDS = ["null", "true", "[]", "{}", '""', "-1", "1e999", '"-9223372036854775809"', "0.1"];
WORDS.push('"\\ud800"', '{"a":1}', "[[[[]]]]", '"NaN"', "18446744073709551616", '"x y"');

/** JSON with values of other types in it: it stays JSON, for the most part. */
function swapped(text: string, random: Random): string {
  for (let turn = 0; turn <= random.below(3); turn++) {
    const values = [
      ...text.matchAll(/"(?:[^"\\]|\\.)*"(?!:)|-?\d+(?:\.\d+)?|true|false|\[\]|\{\}/g),
    ];
    if (values.length === 0) break;
    const { index, 0: value } = random.pick(values);
    text = text.slice(0, index) + random.pick(WORDS) + text.slice(index + value.length);
  }
  return text;
}
