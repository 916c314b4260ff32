/**
 * What is in a file when its writer was killed right after a step: the table that
 * tests/kill-table.test.ts compares with real processes.
 *
 * @module
 */

/** Steps of the same name in a row, and what a process killed after any of them has left. */
export type Row = readonly [
  step: string,
  delivered: number,
  torn: number,
  refused?: number,
  discarded?: number,
];

/** One thing that is recorded. */
export interface Recorded {
  /** As tests/testdata/killed-writer.ts calls it. */
  readonly operation: string;
  /** Records that were there before. */
  readonly before: number;
  /** In the order of the steps; all numbers are in addition to what was before. */
  readonly rows: readonly Row[];
}

/** A record whose keys are known: nothing before the claim, torn until it is published. */
const RECORD: readonly Row[] = [["slot", 0, 0], ["writer_index", 0, 1], ["availability", 1, 0]];

/** The oldest is given up and counted by the same store. */
const RECORD_THAT_DISCARDS: readonly Row[] = [
  ["reader_index", -1, 0, 0, 1],
  ["slot", -1, 0, 0, 1],
  ["writer_index", -1, 1, 0, 1],
  ["availability", 0, 0, 0, 1],
];

/** With several producers the slot is claimed before it is filled. */
const RECORD_OF_MANY: readonly Row[] = [
  ["writer_index", 0, 1],
  ["slot", 0, 1],
  ["availability", 1, 0],
];

/** Entries of the dictionary, as many as there are: bytes, end, number of entries. */
export const ENTRIES = "dictionary entries";
const entries = (delivered: number): Row => [ENTRIES, delivered, 0];

/** What makes a file: nothing of it can be found before it is complete. */
const FILE: readonly Row[] = [
  ["mkostemps", 0, 0],
  ["posix_fallocate", 0, 0],
  ["flock", 0, 0],
  ["making", 0, 0],
  ["link", 0, 0],
  ["unlink", 0, 0],
  // The resource.
  entries(0),
];

const BEFORE = 5;
const BEFORE_MANY = 4;

/** Every operation with every step. */
export const KILL_TABLE: readonly Recorded[] = [
  { operation: "first file", before: 0, rows: FILE },
  { operation: "scope", before: BEFORE, rows: [entries(0)] },
  { operation: "metric definition", before: BEFORE, rows: [entries(0), ...RECORD] },
  { operation: "span start", before: BEFORE, rows: RECORD },
  { operation: "attribute", before: BEFORE, rows: RECORD },
  { operation: "attribute of a new key", before: BEFORE, rows: [entries(0), ...RECORD] },
  {
    operation: "attributes in two records",
    before: BEFORE + 1,
    rows: [...RECORD, ["slot", 1, 0], ["writer_index", 1, 1], ["availability", 2, 0]],
  },
  { operation: "event", before: BEFORE + 1, rows: RECORD },
  { operation: "link", before: BEFORE, rows: RECORD },
  { operation: "rename", before: BEFORE, rows: RECORD },
  { operation: "end", before: BEFORE, rows: RECORD },
  { operation: "log", before: BEFORE, rows: RECORD },
  { operation: "cut log", before: BEFORE, rows: [["slot", 0, 0], ["loss", 0, 0], ...RECORD] },
  { operation: "measurement", before: BEFORE + 1, rows: RECORD },
  { operation: "refused log", before: BEFORE + 14, rows: [["loss", 0, 0, 1]] },
  { operation: "log that discards", before: BEFORE + 14, rows: RECORD_THAT_DISCARDS },
  { operation: "attribute that discards", before: BEFORE + 12, rows: RECORD_THAT_DISCARDS },
  { operation: "measurement that discards", before: BEFORE + 14, rows: RECORD_THAT_DISCARDS },
  {
    operation: "new generation",
    before: BEFORE,
    // Then the scope, the instrument and the keys once more, since refs are a file's own.
    rows: [...FILE, ["time", 0, 0], ["state", 0, 0], entries(0), ...RECORD],
  },
  {
    operation: "shutdown",
    before: BEFORE,
    rows: [["time", 0, 0], ["state", 0, 0], ["close", 0, 0]],
  },
  { operation: "span start, many producers", before: BEFORE_MANY, rows: RECORD_OF_MANY },
  { operation: "event, many producers", before: BEFORE_MANY + 2, rows: RECORD_OF_MANY },
  { operation: "link, many producers", before: BEFORE_MANY + 1, rows: RECORD_OF_MANY },
  { operation: "rename, many producers", before: BEFORE_MANY + 1, rows: RECORD_OF_MANY },
  { operation: "end, many producers", before: BEFORE_MANY + 1, rows: RECORD_OF_MANY },
  {
    operation: "attribute of a new key, many producers",
    before: BEFORE_MANY + 1,
    rows: [
      ["dictionary end", 0, 0],
      ["dictionary entry", 0, 0],
      ["dictionary num_entries", 0, 0],
      ...RECORD_OF_MANY,
    ],
  },
];

/** Steps of one ring that is released: only the last makes records the reader's. */
const release = (before: number, after: number): readonly Again[] => [
  ["read counter", before],
  ["read released", before],
  ["reader_index", after],
];

/** A step of a reader, and how many of the records it has taken are taken again by the next one. */
export type Again = readonly [step: string, again: number];

/**
 * A reader of the library that takes 1 event, 4 span records (and passes a torn one) and 1
 * measurement, and gives them back in that order.
 */
export const READER_TABLE: readonly Again[] = [
  ["mkostemps", 0],
  ["flock", 0],
  ["link", 0],
  ["unlink", 0],
  // Asks whether the owner lives.
  ["flock", 0],
  ["close", 0],
  ...release(5, 4),
  ...release(4, 1),
  ...release(1, 0),
  ["reader pid", 0],
  ["reader heartbeat", 0],
  ["reader pid", 0],
  ["reader heartbeat", 0],
  ["unlink", 0],
  ["close", 0],
];

/**
 * The same with 15 events, 3 span records and 1 measurement, in a file whose writer discards the
 * oldest: the reader says first that it is there, and looks at reader_index after each copy.
 */
export const SHARING_READER_TABLE: readonly Again[] = [
  ["mkostemps", 0],
  ["flock", 0],
  ["link", 0],
  ["unlink", 0],
  ["flock", 0],
  ["reader pid", 0],
  ["reader heartbeat", 0],
  ["flock", 0],
  ["close", 0],
  ["reader pid", 0],
  ["reader heartbeat", 0],
  ["reader_index", 0],
  ...release(19, 4),
  ...release(4, 1),
  ...release(1, 0),
  ["reader pid", 0],
  ["reader heartbeat", 0],
  ["reader pid", 0],
  ["reader heartbeat", 0],
  ["unlink", 0],
  ["close", 0],
];

/** A step of the collector, the how manieth of that name, and the spans that come a second time. */
export type SpansAgain = readonly [step: string, count: number, again: number];

/**
 * The collector on the same file, with \`--once\`: 2 spans, one of them without an end. Its backend has
 * taken everything before the first ring is released.
 */
export const COLLECTOR_TABLE: readonly SpansAgain[] = [
  ["mkostemps", 1, 0],
  ["flock", 1, 0],
  ["link", 1, 0],
  ["reader pid", 1, 0],
  ["reader heartbeat", 1, 0],
  ["read counter", 1, 2],
  ["read released", 1, 2],
  ["reader_index", 1, 2],
  ["read released", 2, 2],
  ["reader_index", 2, 0],
  ["read released", 3, 0],
  ["reader_index", 3, 0],
  ["reader pid", 2, 0],
  ["reader heartbeat", 2, 0],
];

/** A group of steps: its name, and where it is, counted from 1. */
export interface Group {
  readonly name: string;
  readonly first: number;
  last: number;
}

/** Puts steps of the same name in a row together, and rounds of entry, end, num_entries. */
export function groupSteps(names: readonly string[]): Group[] {
  const groups: Group[] = [];
  names.forEach((name, i) => {
    const group = groups.at(-1);
    const goesOn = name === group?.name ||
      (group?.name === ENTRIES && name.startsWith("dictionary"));
    if (goesOn) group!.last = i + 1;
    else {
      const isCycle = name === "dictionary entry" && names.indexOf("dictionary end", i) > i;
      groups.push({ name: isCycle ? ENTRIES : name, first: i + 1, last: i + 1 });
    }
  });
  return groups;
}
