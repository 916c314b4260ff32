/**
 * Holds what a service says it recorded against what arrived.
 *
 * @module
 */
import type { DemoLog } from "./signals.ts";
import type { DemoSpan } from "./traces.ts";

/** What a service noted, see journal.ts. */
export interface Journal {
  /** Names of the spans whose start had returned, by {@link idOf}. */
  readonly started: ReadonlyMap<string, string>;
  /** Those whose end had returned as well. */
  readonly ended: ReadonlySet<string>;
  /** How often each log record was emitted: trace id, span id and text. */
  readonly logs: ReadonlyMap<string, number>;
  /** What was added to all counters. */
  readonly counted: number;
}

/** What is compared. Lists hold ids of spans. */
export interface Account {
  readonly journal: Journal;
  /** Different spans that arrived. */
  readonly arrived: number;
  /** Of these, spans that were marked as cut off. */
  readonly cutOff: number;
  /** Their start had returned, and they did not arrive. */
  readonly missing: readonly string[];
  /** Their end had returned, and they arrived as cut off. */
  readonly endMissing: readonly string[];
  /** They arrived more than once. */
  readonly doubled: readonly string[];
  /** Their start or end arrived and was not noted: a call that had not returned yet. */
  readonly unreported: readonly string[];
}

/** Names a span in journals and accounts: trace id, space, span id. */
export function idOf({ traceId, spanId }: Pick<DemoSpan, "traceId" | "spanId">): string {
  return `${traceId} ${spanId}`;
}

/** Reads a journal. A line without an end was not written yet. */
export function readJournal(text: string): Journal {
  const started = new Map<string, string>();
  const ended = new Set<string>();
  const logs = new Map<string, number>();
  let counted = 0;
  for (const line of text.split("\n").slice(0, -1)) {
    const [what, traceId, spanId, ...name] = line.split(" ");
    const id = idOf({ traceId, spanId });
    if (what === "start") started.set(id, name.join(" "));
    else if (what === "end") ended.add(id);
    else if (what === "log") bump(logs, `${id} ${name.join(" ")}`);
    else counted += Number(traceId);
  }
  return { started, ended, logs, counted };
}

/** The spans of a journal that are open at its end. */
export function openSpans({ started, ended }: Journal): string[] {
  return [...started.keys()].filter((id) => !ended.has(id));
}

/** Compares a journal with the spans that arrived from its service. */
export function compare(journal: Journal, spans: readonly DemoSpan[]): Account {
  const arrived = new Map<string, DemoSpan>();
  const doubled: string[] = [];
  const unreported: string[] = [];
  const endMissing: string[] = [];
  let cutOff = 0;
  for (const span of spans) {
    const id = idOf(span);
    if (arrived.has(id)) {
      doubled.push(id);
      continue;
    }
    arrived.set(id, span);
    if (span.interrupted) cutOff++;
    const ended = journal.ended.has(id);
    if (!journal.started.has(id) || (!span.interrupted && !ended)) unreported.push(id);
    if (span.interrupted && ended) endMissing.push(id);
  }
  const missing = [...journal.started.keys()].filter((id) => !arrived.has(id));
  return { journal, arrived: arrived.size, cutOff, missing, endMissing, doubled, unreported };
}

/**
 * Whether nothing is missing, doubled or made up.
 *
 * @param unreturned Calls that may have been under way when the process ended: 1 after a SIGKILL of
 * a process with one thread, otherwise 0
 */
export function holds(account: Account, unreturned: number): boolean {
  const { journal, missing, endMissing, doubled, unreported } = account;
  return journal.started.size > 0 && missing.length + endMissing.length + doubled.length === 0 &&
    unreported.length <= unreturned;
}

/** What is compared of log records and counters. */
export interface RecordAccount {
  /** Log records that were noted, and that arrived. */
  readonly emitted: number;
  readonly arrived: number;
  /** Noted more often than they arrived, and the other way round. */
  readonly missing: readonly string[];
  readonly unreported: readonly string[];
  /** What was added to counters, and the sum of what arrived. */
  readonly counted: number;
  readonly summed: number;
}

/** Compares a journal with the log records and the sums of counters that arrived. */
export function compareRecords(
  { logs, counted }: Journal,
  arrived: readonly DemoLog[],
  summed: number,
): RecordAccount {
  const left = new Map(logs);
  const unreported: string[] = [];
  for (const log of arrived) {
    const id = `${idOf(log)} ${log.text}`;
    if ((left.get(id) ?? 0) > 0) left.set(id, left.get(id)! - 1);
    else unreported.push(id);
  }
  const missing = [...left].flatMap(([id, count]) => new Array<string>(count).fill(id));
  const emitted = [...logs.values()].reduce((sum, count) => sum + count, 0);
  return { emitted, arrived: arrived.length, missing, unreported, counted, summed };
}

/** The same question as of spans; a call that had not returned added 1, or logged once. */
export function recordsHold(account: RecordAccount, unreturned: number): boolean {
  const { emitted, missing, unreported, counted, summed } = account;
  return emitted > 0 && missing.length === 0 && unreported.length <= unreturned &&
    counted > 0 && summed >= counted && summed - counted <= unreturned;
}

function bump(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
