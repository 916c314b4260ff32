/**
 * What damaged files and messages are given to: the functions that the collector, `inspect`, `export`
 * and `recover` call. Each returns what it made of them, in few words.
 *
 * @module
 */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { readDictionary, readRings } from "../../../collector/inspect/contents.ts";
import { formatInspection, inspectionToJson } from "../../../collector/inspect/format.ts";
import { readImage } from "../../../collector/inspect/image.ts";
import { inspect } from "../../../collector/inspect/inspect.ts";
import { checkJson, checkRequest, Malformed, TooMuch } from "../../../collector/receive/check.ts";
import { repairFile } from "../../../collector/repair/file.ts";
import { anyFromOtlpJson, toOtlpJson } from "../../../collector/text/otlp-json.ts";
import { DECODING } from "../../../collector/send/decoding.ts";
import { FormatError, type Geometry, readGeometry } from "../../../lib/file/geometry.ts";
import { readExtension } from "../../../lib/file/extension.ts";
import { readLedger } from "../../../lib/file/ledger.ts";
import { Aggregator } from "../../../lib/metrics/aggregate.ts";
import { Assembler } from "../../../lib/otlp/assemble.ts";
import { INTERRUPTIONS } from "../../../lib/otlp/marks.ts";
import { PairList } from "../../../lib/otlp/source.ts";
import { openDrain } from "../../../collector/pipeline/drain.ts";
import {
  isIdle,
  newRoundFile,
  round,
  type RoundProcess,
} from "../../../collector/pipeline/round.ts";
import type { Signal } from "../../../lib/otlp/request.ts";
import {
  ExportLogsServiceRequestSchema,
  ExportMetricsServiceRequestSchema,
  ExportTraceServiceRequestSchema,
} from "../../../proto/gen/otlp_pb.ts";
import { AGGREGATION, type MemoryFile, memoryFile } from "../collect.ts";

export const SCHEMAS = {
  traces: ExportTraceServiceRequestSchema,
  metrics: ExportMetricsServiceRequestSchema,
  logs: ExportLogsServiceRequestSchema,
} as const;

/** As the collector reads a file whose owner is gone. All that comes out must be OTLP. */
export function collectFile(bytes: Uint8Array): string {
  const file = memoryFile(bytes);
  let geometry: Geometry;
  try {
    const read = readGeometry("fuzz", file.u8, file.size);
    if ("unfinished" in read) return `unfinished: ${kindOf(read.unfinished)}`;
    geometry = read;
  } catch (error) {
    if (error instanceof FormatError) return `format: ${kindOf(error.reason)}`;
    throw error;
  }
  return drained(file, geometry);
}

/** What `recover` may hold beyond the bytes of a file: room for what was cut off. */
const MOST_MORE = 70 << 20;

/** As `recover` reads a file. */
export function recoverFile(bytes: Uint8Array): string {
  const before = Uint8Array.from(bytes);
  const repaired = repairFile(bytes, true);
  assert.deepEqual(bytes, before, "recover changed what it was given");
  if (repaired === null) return "nothing";
  const { memory, notes } = repaired;
  assert.ok(memory.size <= bytes.length + MOST_MORE, `${memory.size} bytes of ${bytes.length}`);
  return `${notes.map(kindOf).join("; ")} ${drained(memory, repaired.geometry)}`;
}

/** What a collector keeps over the files that come and go. */
interface Kept {
  readonly assembler: Assembler;
  readonly aggregator: Aggregator;
  /** Files that were read with it. */
  files: number;
}

let kept: Kept | null = null;
/** After so many files a new one: what is kept of them may not add up either. */
const FILES_EACH = 500;

function createKept(): Kept {
  const assembler = new Assembler(() => {});
  const scopeOf: ConstructorParameters<typeof Aggregator>[0] = (source, ref) =>
    assembler.scopeOf(source, ref);
  return { assembler, aggregator: new Aggregator(scopeOf, AGGREGATION), files: 0 };
}

/** Reads a file of a process of its own to its end, beside what is kept, and forgets the process. */
function drained(file: MemoryFile, geometry: Geometry): string {
  if (kept === null || kept.files === FILES_EACH) kept = createKept();
  const { assembler, aggregator } = kept;
  const state = assembler.addProcess();
  aggregator.addProcess(state.index);
  const process: RoundProcess = { state, files: [], waiting: new PairList() };
  const drain = openDrain(++kept.files, file, geometry, assembler, state);
  drain.over = true;
  process.files.push(newRoundFile(drain));
  const blocked = { traces: false, metrics: false, logs: false };
  while (round(process, { assembler, aggregator, blocked }) > 0 || !isIdle(process));
  assembler.interrupt(state, INTERRUPTIONS.died);
  const counts: number[] = [];
  for (const batch of [assembler.spans, assembler.logs]) {
    const request = batch.seal();
    counts.push(request?.items ?? 0);
    if (request === null) continue;
    fromBinary(SCHEMAS[batch.signal], request.buffer.slice(0, request.length));
    batch.recycle(request);
  }
  let points = 0;
  aggregator.collect(state.index, state.lastLow, state.lastHigh, (request) => {
    points += request.items;
    fromBinary(SCHEMAS.metrics, request.buffer.slice(0, request.length));
    aggregator.recycle(request);
  });
  assembler.forget(state);
  aggregator.removeProcess(state.index);
  assembler.removeProcess(state);
  for (const reason of drain.reasons.keys()) assert.ok(!reason.startsWith("a fault"), reason);
  counts.push(points, ...drain.torn, ...drain.rejected);
  const reasons = [...drain.reasons.keys()].sort().join(", ");
  return `${counts.map((count) => Math.min(count, 3)).join(" ")} ${reasons}`;
}

/** As `inspect` looks at a file, which is written to a path first. */
export function inspectFile(path: string, bytes: Uint8Array): string {
  writeFileSync(path, bytes);
  const inspection = inspect(path, 1_780_000_000_000);
  const text = formatInspection(inspection, 1_780_000_000_000);
  // Nothing of a file reaches a terminal as it is.
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(text, /[\x00-\x08\x0b-\x1f\x7f-\x9f]/);
  JSON.stringify(inspectionToJson(inspection));
  return `${inspection.verdict} ${inspection.problems.map(kindOf).join("; ")}`;
}

/** What `lookAt` says of a file whose writer does not say whether it lives. */
export const OF_A_STRANGER = "of a stranger";

/** What `inspect` reads of a file, which is written to a path first. */
export function lookAt(path: string, bytes: Uint8Array): string {
  writeFileSync(path, bytes);
  const image = readImage(path);
  const { geometry } = image;
  if (!("rings" in geometry)) return "no geometry";
  const contents = readRings(image, geometry);
  const dictionary = readDictionary(image, geometry);
  const extension = readExtension(image, geometry.rings[0].offset);
  if (extension === null) return OF_A_STRANGER;
  for (const ring of geometry.rings) readLedger(image, ring);
  return `${contents.length} ${Object.keys(dictionary).length}`;
}

/** As the receiver takes a request: what it lets pass, everybody else must be able to read. */
export function receiveRequest(signal: Signal, body: Uint8Array): string {
  try {
    checkRequest(signal, body);
  } catch (error) {
    if (error instanceof Malformed || error instanceof TooMuch) return kindOf(error.message);
    throw error;
  }
  const message = fromBinary(SCHEMAS[signal], body, DECODING);
  toBinary(SCHEMAS[signal], message);
  toOtlpJson(signal, body);
  return "taken";
}

/** As `import` and the receiver take OTLP/JSON. */
export function receiveJson(text: string): string {
  checkJson(new TextEncoder().encode(text));
  let read: ReturnType<typeof anyFromOtlpJson>;
  try {
    read = anyFromOtlpJson(text);
  } catch (error) {
    // What is wrong with it is said in an Error; anything else would be a fault of ours.
    assert.equal(Object.getPrototypeOf(error).constructor.name.endsWith("Error"), true);
    assert.ok(!(error instanceof TypeError) && !(error instanceof ReferenceError), String(error));
    return kindOf((error as Error).message);
  }
  return receiveRequest(read.signal, read.body);
}

/** A message without its numbers and names. */
function kindOf(message: string): string {
  return message.replace(/-?\d+/g, "N").replace(/"[^"]*"/g, "S").slice(0, 60);
}
