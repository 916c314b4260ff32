/**
 * Judges what a file holds: what is wrong and what to do, in sentences.
 *
 * @module
 */
import { totalOf } from "../../lib/file/ledger.ts";
import type { LOSS_NAMES, RING_NAMES } from "../../lib/format/layout.ts";
import { DICTIONARY_VARIABLE, sizeVariable } from "../../lib/sdk/sizes.ts";
import { READER_SILENT_NS } from "../../lib/file/attached.ts";
import type { FileFacts, LossFacts } from "./inspect.ts";
import { counted, formatAge, formatCount, shellWord } from "./units.ts";

/** A ring fuller than this will soon refuse records, parts of its slots. */
const NEARLY_FULL = 0.75;

/** What is wrong, and what else is worth knowing. */
export interface Judgement {
  readonly problems: string[];
  readonly notes: string[];
}

/** @param path The file, for the commands that are proposed. */
export function judge(path: string, facts: FileFacts): Judgement {
  const problems: string[] = [];
  const notes: string[] = [];
  judgeOwner(path, facts, problems, notes);
  if (facts.powerLoss !== null) notes.push(facts.powerLoss);
  judgeReader(facts, problems);
  judgeRings(facts, problems, notes);
  for (const loss of facts.losses) problems.push(explainLoss(loss));
  facts.ledger?.forEach(({ rejected, uncounted }, ring) => {
    if (uncounted > 0) {
      notes.push(
        `${counted(uncounted, "record")} of the ${facts.rings[ring].name} ring ${
          uncounted === 1 ? "was" : "were"
        } released by a reader that does not count: what became of ${
          uncounted === 1 ? "it" : "them"
        } is not known`,
      );
    }
    const unreadable = totalOf(rejected);
    if (unreadable === 0) return;
    problems.push(
      `a collector could not read ${counted(unreadable, "record")} of the ${
        facts.rings[ring].name
      } ring: the lines with which it ended say why ("unreadable")`,
    );
  });
  const { damagedAt, entries } = facts.dictionary;
  if (damagedAt !== null) {
    problems.push(
      `the dictionary is damaged at byte ${damagedAt}, behind ${
        counted(entries, "entry", "entries")
      }: records that refer to what follows can't be read; save the others with: otlp-mmap ` +
        `recover ${shellWord(path)}`,
    );
  }
  return { problems, notes };
}

function judgeOwner(
  path: string,
  { extension, owner, reader, rings }: FileFacts,
  problems: string[],
  notes: string[],
): void {
  const unread = rings.reduce((sum, { inRing }) => sum + inRing, 0);
  if (owner.state === "unknown") {
    const because = `whether its owner lives is not known: ${owner.unknownBecause}`;
    notes.push(
      owner.pid === null || unread === 0
        ? because
        : `${because}; if process ${owner.pid} is over, save what is in it with: otlp-mmap recover ${
          shellWord(path)
        }`,
    );
    return;
  }
  if (owner.state === "alive") {
    if (reader === null && unread > 0 && extension !== null) {
      notes.push(`nobody reads it: ${waiting(unread)} in it for a collector`);
    }
    return;
  }
  const ended = extension === null
    // These files don't say how their writer ended.
    ? "no process writes it any more"
    : {
      clean: "the owner shut down in order",
      superseded: "the owner went on in its next file",
      dead: "the owner died without a clean shutdown",
    }[owner.state];
  if (unread === 0) {
    const all = `${ended}, and every record was read: it may be removed`;
    if (owner.state !== "superseded" || reader === null) notes.push(all);
  } else if (reader?.attached) {
    notes.push(`${ended}, and a collector is reading the ${counted(unread, "record")} left in it`);
  } else {
    problems.push(
      `${ended}, and ${counted(unread, "record")} ${unread === 1 ? "was" : "were"} not read: run ` +
        `\`otlp-mmap collect --once ${shellWord(path)}\` with the --endpoint they are to go to`,
    );
  }
}

function waiting(records: number): string {
  return `${counted(records, "record")} ${records === 1 ? "waits" : "wait"}`;
}

function judgeReader({ reader }: FileFacts, problems: string[]): void {
  if (reader === null || reader.silentMs === null) return;
  const who = reader.pid === null ? "the collector" : `the collector, process ${reader.pid},`;
  const age = formatAge(reader.silentMs);
  if (!reader.attached) {
    problems.push(
      `${who} was killed after it last looked, ${age} ago: start it again; what it did not give ` +
        `back is read anew`,
    );
  } else if (reader.silentMs > Number(READER_SILENT_NS / 1_000_000n)) {
    problems.push(
      `${who} holds this file and has not looked at it for ${age}: it is stopped or hangs; end it ` +
        `and start another`,
    );
  }
}

function judgeRings(
  { owner, powerLoss, reader, rings }: FileFacts,
  problems: string[],
  notes: string[],
): void {
  const over = owner.state === "dead" || owner.state === "clean" || owner.state === "superseded";
  for (const { name, slots, inRing, unpublished } of rings) {
    if (over && unpublished > 0 && powerLoss === null) {
      notes.push(
        `${counted(unpublished, "record")} of the ${name} ring ${
          unpublished === 1 ? "was" : "were"
        } being written when the owner died, and can't be read`,
      );
    }
    if (over || inRing < NEARLY_FULL * slots) continue;
    const full = `the ${name} ring is nearly full (${formatCount(inRing)} of ${
      formatCount(slots)
    } slots), after which records are refused`;
    problems.push(
      reader?.attached
        ? `${full}: the collector does not keep up, or its backend does not; see what it says, and ` +
          `\`otlp-mmap size\` for larger rings`
        : `${full}: start \`otlp-mmap collect\``,
    );
  }
}

type RingName = (typeof RING_NAMES)[number];

const ADVICE: Record<(typeof LOSS_NAMES)[number], (ring: RingName) => string> = {
  ring_full: (ring) =>
    `as the ring was full: keep a collector running, or give the ring more slots ` +
    `(${sizeVariable(ring, "slots")}; \`otlp-mmap size\` says how many)`,
  reserve: (ring) =>
    `to leave room for the ends of open spans: keep a collector running, or give the ring more ` +
    `slots (${sizeVariable(ring, "slots")}; \`otlp-mmap size\` says how many)`,
  dictionary_full: () =>
    `as the dictionary was full: use fewer different attribute keys, span names and instruments, ` +
    `or give it more room (${DICTIONARY_VARIABLE})`,
  encode: (ring) =>
    (ring === "measurements"
      ? `as they were none: look for values that are no finite numbers, or negative ones of ` +
        `counters and histograms`
      : `as they could not be encoded: look for attributes whose getters throw or that contain ` +
        `themselves`) + "; OTEL_LOG_LEVEL=warn has the application say so",
  truncated: (ring) =>
    `to fit their slots: record less in one, or make slots larger ` +
    `(${sizeVariable(ring, "slotBytes")})`,
};

function explainLoss({ ring, reason, records }: LossFacts): string {
  const what = reason === "truncated" ? "cut" : "refused";
  return `${counted(records, "record")} of the ${ring} ring ${
    records === 1 ? "was" : "were"
  } ${what} ${ADVICE[reason](ring)}`;
}
