/**
 * What an assembler holds between two requests, as bytes: its processes with their scopes and
 * resources, the open spans, and what was counted. An assembler that was made from them gives the same
 * requests for the same records, byte by byte, evictions among them.
 *
 * Not in it are what is remembered of dictionaries, which comes back with the first look at them,
 * and the limits, which are those of the new assembler.
 *
 * @module
 */
import { type StateKind, StateReader, StateWriter } from "../state/bytes.ts";
import type { AssemblyCounts } from "./assemble.ts";
import type { Batch } from "./batch.ts";
import { type ResourceEntry, ScopeCache, type ScopeEntry } from "./scopes.ts";
import { PairList, type ProcessState } from "./source.ts";
import { BLOCK, LENGTH, NEXT, NONE, PROCESS, SCOPE, SpanTable } from "./spans.ts";

const KIND: StateKind = { magic: "OMAS", version: 1, name: "spans" };

/** The parts of an assembler. */
export interface AssemblerParts {
  readonly table: SpanTable;
  readonly spans: Batch;
  readonly logs: Batch;
  readonly counts: AssemblyCounts;
  readonly processes: (ProcessState | null)[];
  readonly scopes: (ScopeEntry | null)[];
}

/** What was counted, in the order in which it is saved. */
const COUNTS = [
  "spans",
  "interrupted",
  "evicted",
  "partial",
  "unmatched",
  "unmatchedEvents",
  "lost",
  "logs",
  "lostLogs",
] as const satisfies readonly (keyof AssemblyCounts)[];

/** Saves an assembler whose batches are empty; throws an Error where they are not. */
export function saveAssembler(parts: AssemblerParts): Uint8Array<ArrayBuffer> {
  const { table, spans, logs, counts, processes, scopes } = parts;
  if (spans.items > 0 || logs.items > 0) {
    throw new Error(
      `spans cannot be saved with ${spans.items} spans and ${logs.items} log records in batches: ` +
        `seal these before`,
    );
  }
  const out = new StateWriter(KIND);
  for (const name of COUNTS) out.double(counts[name]);
  const resources = saveProcesses(out, processes);
  saveScopes(out, scopes, resources);
  out.array(spans.blockClasses());
  out.array(logs.blockClasses());
  saveSpans(out, table);
  return out.finish();
}

/**
 * Puts what was saved into an assembler that nothing was put into yet. Throws an Error for bytes that
 * are no such state; the assembler is of no use then.
 *
 * @returns The processes, with the indexes that they had.
 */
export function restoreAssembler(parts: AssemblerParts, bytes: Uint8Array): ProcessState[] {
  const { table, spans, logs, counts, processes, scopes } = parts;
  if (processes.length > 0) throw new Error("spans can be restored only into a new assembler");
  const from = new StateReader(bytes, KIND);
  for (const name of COUNTS) counts[name] = from.counter();
  restoreProcesses(from, processes);
  restoreScopes(from, processes, scopes);
  spans.rememberClasses(from.array());
  logs.rememberClasses(from.array());
  restoreSpans(from, table, scopes);
  from.end();
  return processes.filter((process) => process !== null);
}

/** The numbers of all resources in their processes. */
function saveProcesses(
  out: StateWriter,
  processes: readonly (ProcessState | null)[],
): Map<ResourceEntry, number> {
  const numbers = new Map<ResourceEntry, number>();
  out.word(processes.length);
  for (const process of processes) {
    out.word(process === null ? 0 : 1);
    if (process === null) continue;
    out.word(process.lastLow);
    out.word(process.lastHigh);
    out.array(process.ended.words, process.ended.length);
    const resources = process.scopes.allResources();
    out.word(resources.length);
    for (const [number, entry] of resources.entries()) {
      numbers.set(entry, number);
      out.array(entry.head);
      out.array(entry.tail);
    }
  }
  return numbers;
}

function restoreProcesses(from: StateReader, processes: (ProcessState | null)[]): void {
  const length = from.count(4);
  for (let index = 0; index < length; index++) {
    if (from.wordWithin(0, 2) === 0) {
      processes.push(null);
      continue;
    }
    const lastLow = from.word();
    const lastHigh = from.word();
    const ended = pairsOf(from.words(), (what) => from.fail(what));
    const resources: ResourceEntry[] = [];
    const count = from.count(8);
    for (let i = 0; i < count; i++) resources.push({ head: from.array(), tail: from.array() });
    processes.push({ index, scopes: new ScopeCache(resources), lastLow, lastHigh, ended });
  }
}

function saveScopes(
  out: StateWriter,
  scopes: readonly (ScopeEntry | null)[],
  resources: ReadonlyMap<ResourceEntry, number>,
): void {
  out.word(scopes.length);
  for (const scope of scopes) {
    out.word(scope === null ? -1 : scope.process);
    if (scope === null) continue;
    out.word(resources.get(scope.resource)!);
    out.array(scope.head);
    out.array(scope.tail);
  }
}

function restoreScopes(
  from: StateReader,
  processes: readonly (ProcessState | null)[],
  scopes: (ScopeEntry | null)[],
): void {
  const resources = processes.map((process) => process?.scopes.allResources() ?? []);
  const length = from.count(4);
  for (let index = 0; index < length; index++) {
    const process = from.wordWithin(-1, processes.length);
    if (process < 0) {
      scopes.push(null);
      continue;
    }
    const number = from.wordWithin(0, resources[process].length);
    const resource = resources[process][number];
    const scope = { index, resource, process, head: from.array(), tail: from.array() };
    processes[process]!.scopes.restore(scope, number);
    scopes.push(scope);
  }
}

/** The open spans from the first to the last: their places, their words, their bytes. */
function saveSpans(out: StateWriter, table: SpanTable): void {
  out.array(table.uses());
  const { words } = SpanTable;
  const indexes = new Int32Array(table.count);
  const rows = new Int32Array(table.count * words);
  let count = 0;
  let bytes = 0;
  const { meta } = table;
  for (let index = table.oldest; index !== NONE; count++) {
    const base = SpanTable.base(index);
    indexes[count] = index;
    const row = count * words;
    for (let i = 0; i < words; i++) rows[row + i] = meta[base + i];
    SpanTable.forgetPlace(rows, row);
    bytes += meta[base + LENGTH];
    index = meta[base + NEXT];
  }
  out.array(indexes);
  out.array(rows);
  out.double(table.arena.inUse);
  out.word(bytes);
  let at = out.room(bytes);
  const { u8 } = table.arena.bytes;
  for (const index of indexes) {
    const base = SpanTable.base(index);
    const length = meta[base + LENGTH];
    out.u8.set(u8.subarray(meta[base + BLOCK], meta[base + BLOCK] + length), at);
    at += length;
  }
}

function restoreSpans(
  from: StateReader,
  table: SpanTable,
  scopes: readonly (ScopeEntry | null)[],
): void {
  const uses = from.words();
  const indexes = from.words();
  const rows = from.words();
  const inUse = from.counter();
  const contents = from.array();
  const { words } = SpanTable;
  if (rows.length !== indexes.length * words) from.fail("spans without their words");
  let bytes = 0;
  for (let row = 0; row < rows.length; row += words) {
    const scope = scopes[rows[row + SCOPE]] ?? from.fail("a span without its scope");
    if (scope.process !== rows[row + PROCESS]) from.fail("a span without its process");
    if (rows[row + LENGTH] < 0) from.fail("a span of less than nothing");
    bytes += rows[row + LENGTH];
  }
  if (bytes !== contents.length) from.fail("spans without their bytes");
  const problem = table.restore(uses, indexes, rows, inUse);
  if (problem !== null) from.fail(problem);
  const { u8 } = table.arena.bytes;
  let at = 0;
  for (const index of indexes) {
    const base = SpanTable.base(index);
    const length = table.meta[base + LENGTH];
    u8.set(contents.subarray(at, at + length), table.meta[base + BLOCK]);
    at += length;
  }
}

/** Pairs of index and use, as in `ProcessState.ended`, to go with what the assembler saves. */
export function savePairs({ words, length }: PairList): Uint8Array<ArrayBuffer> {
  return new Uint8Array(words.slice(0, length).buffer);
}

/** The list that {@linkcode savePairs} made bytes of. Throws an Error for what is none. */
export function restorePairs(bytes: Uint8Array): PairList {
  const fail = (what: string): never => {
    throw new Error(`a saved list of ended spans is damaged: ${what}`);
  };
  if (bytes.length % 8 !== 0) fail(`${bytes.length} bytes`);
  return pairsOf(new Int32Array(new Uint8Array(bytes).buffer), fail);
}

function pairsOf(words: Int32Array<ArrayBuffer>, fail: (what: string) => never): PairList {
  const pairs = new PairList();
  if (words.length % 2 !== 0) fail("half a pair");
  for (let i = 0; i < words.length; i += 2) {
    // The use of a place that a span has is odd.
    if (words[i] < 0 || (words[i + 1] & 1) === 0) fail("a pair that names no span");
    pairs.push(words[i], words[i + 1]);
  }
  return pairs;
}
