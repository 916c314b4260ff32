/**
 * Holds what a service says it recorded against what arrived.
 *
 * @module
 */
import type { DemoSpan } from "./traces.ts";

/** What a service noted, see journal.ts. */
export interface Journal {
  /** Names of the spans whose start had returned, by {@link idOf}. */
  readonly started: ReadonlyMap<string, string>;
  /** Those whose end had returned as well. */
  readonly ended: ReadonlySet<string>;
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
  for (const line of text.split("\n").slice(0, -1)) {
    const [what, traceId, spanId, ...name] = line.split(" ");
    const id = idOf({ traceId, spanId });
    if (what === "start") started.set(id, name.join(" "));
    else ended.add(id);
  }
  return { started, ended };
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
