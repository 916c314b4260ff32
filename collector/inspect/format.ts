/**
 * An inspection as a block of text for people, or as one JSON object.
 *
 * @module
 */
import { closes, describeLedger, totalOf } from "../../lib/file/ledger.ts";
import { formatTime } from "../print/values.ts";
import { printable, word } from "../text/text.ts";
import type { PlainValue } from "./contents.ts";
import type { FileFacts, Inspection, OwnerFacts, ReaderFacts } from "./inspect.ts";
import { formatAge, formatBytes, formatCount } from "./units.ts";

const LABEL_WIDTH = 12;
const MAX_VALUE = 120;

/**
 * The block of one file, each line with its line break.
 *
 * @param now ms since the Unix epoch.
 */
export function formatInspection(inspection: Inspection, now: number = Date.now()): string {
  const { path, verdict, problems, notes, facts } = inspection;
  const lines = [printable(path, 4096)];
  const say = (label: string, text: string): void => {
    lines.push(`  ${label.padEnd(LABEL_WIDTH)}${text}`);
  };
  if (verdict === "healthy") say("verdict", "healthy");
  problems.forEach((problem, i) => say(i === 0 ? "verdict" : "", problem));
  notes.forEach((note, i) => say(i === 0 ? "note" : "", note));
  if (facts !== null) describeFacts(facts, now, say);
  return lines.join("\n") + "\n";
}

function describeFacts(
  facts: FileFacts,
  now: number,
  say: (label: string, text: string) => void,
): void {
  const { dictionary, extension, ledger, losses, owner, reader, rings } = facts;
  say(
    "file",
    `version ${facts.version}, ${formatBytes(facts.sizeBytes)}, made ${
      formatTime(facts.startTimeUnixNano)
    }${extension === null ? ", by a writer without our extension block" : ""}`,
  );
  say("owner", describeOwner(owner, now));
  if (extension !== null) {
    const { isolate, generation, predecessorUid } = extension;
    say("process", extension.processUid);
    say(
      "isolate",
      `${isolate === 0 ? "main thread" : `Worker, thread ${isolate}`}, generation ${generation}` +
        (predecessorUid === null ? "" : `, continues file ${predecessorUid}`),
    );
    say("file uid", extension.fileUid);
  }
  if (dictionary.resources.length === 0) say("resource", "none was written yet");
  for (const resource of dictionary.resources) say("resource", describeResource(resource));
  const table = [
    ["", "slots", "slot bytes", "size", "claimed", "released", "in it now", "torn"],
    ...rings.map((ring, i) => [
      ring.name,
      formatCount(ring.slots),
      formatCount(ring.slotBytes),
      formatBytes(ring.bytes),
      formatCount(ring.claimed),
      formatCount(ring.released),
      formatCount(ring.inRing),
      formatCount(tornOf(facts, i)),
    ]),
  ];
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  table.forEach((row, i) => {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])
    );
    say(i === 0 ? "rings" : "", cells.join("  "));
  });
  say(
    "dictionary",
    `${formatCount(dictionary.entries)} entries, ${formatCount(dictionary.usedBytes)} of ${
      formatCount(dictionary.capacityBytes)
    } bytes used`,
  );
  const lost = losses.map(({ ring, reason, records }) =>
    `${ring} ${reason} ${formatCount(records)}`
  );
  if (ledger !== null) say("losses", lost.length === 0 ? "none" : lost.join(", "));
  ledger?.forEach((each, i) => {
    const [offered, claimed] = describeLedger(each);
    say(i === 0 ? "ledger" : "", `${each.ring}: ${offered}`);
    say("", `${claimed}${closes(each) ? "" : ": does not close"}`);
  });
  say("reader", describeReader(reader));
}

/** Records that readers found torn, and, when the owner is gone, those that they will. */
function tornOf({ ledger, owner, rings }: FileFacts, ring: number): number {
  const over = owner.state === "dead" || owner.state === "clean" || owner.state === "superseded";
  return (ledger?.[ring].torn ?? 0) + (over ? rings[ring].unpublished : 0);
}

function describeOwner(owner: OwnerFacts, now: number): string {
  const { pid, runtime, startTimeUnixNano: start, state } = owner;
  const parts = [pid === null ? state : `process ${pid}, ${state}`];
  if (runtime !== null) parts.push(runtime === "deno" ? "Deno" : "Bun");
  if (start !== null) {
    parts.push(`since ${formatTime(start)} (${formatAge(now - Number(start / 1_000_000n))} ago)`);
  }
  return parts.join(", ");
}

function describeReader(reader: ReaderFacts | null): string {
  if (reader === null) return "none";
  const { attached, pid, silentMs } = reader;
  const who = pid === null ? "a process" : `process ${pid}`;
  const seen = silentMs === null ? "" : `, last looked ${formatAge(silentMs)} ago`;
  return `${who}${attached ? "" : ", gone"}${seen}`;
}

function describeResource(resource: { [key: string]: PlainValue }): string {
  return Object.entries(resource).map(([key, value]) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return `${word(key, MAX_VALUE)}=${word(text, MAX_VALUE)}`;
  }).join(" ");
}

/** The same as one JSON object. Times and uids are text, as OTLP/JSON has them. */
export function inspectionToJson(inspection: Inspection): Record<string, unknown> {
  const { facts, ...said } = inspection;
  if (facts === null) return said;
  const { extension, owner } = facts;
  return {
    ...said,
    version: facts.version,
    sizeBytes: facts.sizeBytes,
    startTimeUnixNano: String(facts.startTimeUnixNano),
    owner: {
      ...owner,
      startTimeUnixNano: owner.startTimeUnixNano === null ? null : String(owner.startTimeUnixNano),
    },
    fileUid: extension?.fileUid ?? null,
    processUid: extension?.processUid ?? null,
    predecessorUid: extension?.predecessorUid ?? null,
    isolate: extension?.isolate ?? null,
    generation: extension?.generation ?? null,
    resources: facts.dictionary.resources,
    rings: facts.rings.map((ring, i) => ({
      ...ring,
      torn: tornOf(facts, i),
      delivered: facts.ledger?.[i].delivered ?? null,
      unreadable: facts.ledger === null ? null : totalOf(facts.ledger[i].rejected),
    })),
    ledger: facts.ledger?.map((each) => ({ ...each, closes: closes(each) })) ?? null,
    dictionary: {
      entries: facts.dictionary.entries,
      usedBytes: facts.dictionary.usedBytes,
      capacityBytes: facts.dictionary.capacityBytes,
      damagedAt: facts.dictionary.damagedAt,
    },
    losses: facts.losses,
    reader: facts.reader,
  };
}
