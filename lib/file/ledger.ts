/**
 * The ledger of a file: what became of every record that was offered to it, from the words that its
 * writer and its readers keep (PROTOCOL.md, Accounting).
 *
 * @module
 */
import {
  LOSS_NAMES,
  LOSS_TRUNCATED,
  READ_DELIVERED,
  READ_REJECTED,
  READ_TORN,
  REJECT_NAMES,
  REJECT_REASONS,
  RING_NAMES,
  RING_WRITER_INDEX,
} from "../format/layout.ts";
import { readCounts } from "../ring/counts.ts";
import { loadIndex, type ReaderIndex } from "../ring/index.ts";
import type { FileViews } from "../ring/write.ts";
import { hasLostPower } from "./boot.ts";
import { readLoss } from "./extension.ts";
import type { RingGeometry } from "./geometry.ts";

/** Who moves reader_index all the time is no reader, and not waited for. */
const MAX_TURNS = 1000;

/** Why a record was refused. */
export type RefusalReason = Exclude<(typeof LOSS_NAMES)[number], "truncated">;
/** Why a record could not be read. */
export type RejectReason = (typeof REJECT_NAMES)[number];

/**
 * The records of one ring over the life of its file:
 * `offered = claimed + refused`, and
 * `claimed = delivered + torn + rejected + discarded + unknown + uncounted + pending`.
 */
export interface RingLedger {
  readonly ring: (typeof RING_NAMES)[number];
  /** What the application gave the writer. */
  readonly offered: number;
  /** What the writer took a slot for. */
  readonly claimed: number;
  /** What it had to refuse, by reason. */
  readonly refused: Readonly<Record<RefusalReason, number>>;
  /** Of the claimed, those with a part cut off to fit their slot: no loss of a record. */
  readonly truncated: number;
  /** Read, and safe in the next step. */
  readonly delivered: number;
  /** Claimed, and never published by a writer that is gone. */
  readonly torn: number;
  /** Not readable, by reason. */
  readonly rejected: Readonly<Record<RejectReason, number>>;
  /** Given up unread for newer ones. */
  readonly discarded: number;
  /** Released, but what became of them was lost with the system's power (durability "power"). */
  readonly unknown: number;
  /** Released by a reader that does not count. */
  readonly uncounted: number;
  /** In the ring. */
  readonly pending: number;
}

/** Reasons of refusals by reason number; the one that is none is left out. */
export const REFUSAL_REASONS: readonly { readonly name: RefusalReason; readonly reason: number }[] =
  LOSS_NAMES.flatMap((name, reason) => name === "truncated" ? [] : [{ name, reason }]);

/**
 * Reads the ledger of a ring. The file must have the extension block. While its writer and its reader
 * are at work, the ledger is as of a moment at which none of them has moved.
 */
export function readLedger(file: FileViews, geometry: RingGeometry): RingLedger {
  const { ring, offset } = geometry;
  let index: ReaderIndex;
  let words: number[];
  let claimed: number;
  let again = loadIndex(file.i64, geometry);
  let turns = 0;
  do {
    index = again;
    words = readCounts(file, ring, index.sequence + 1 - index.discarded);
    claimed = Number(Atomics.load(file.i64, (offset + RING_WRITER_INDEX) / 8)) + 1;
    again = loadIndex(file.i64, geometry);
  } while (
    (again.sequence !== index.sequence || again.discarded !== index.discarded) &&
    ++turns < MAX_TURNS
  );
  const released = index.sequence + 1;
  const refused = Object.fromEntries(
    REFUSAL_REASONS.map(({ name, reason }) => [name, readLoss(file, ring, reason)]),
  ) as Record<RefusalReason, number>;
  const rejected = Object.fromEntries(
    REJECT_NAMES.map((name, reason) => [name, words[READ_REJECTED + reason]]),
  ) as Record<RejectReason, number>;
  const { discarded } = index;
  const delivered = words[READ_DELIVERED];
  const torn = words[READ_TORN];
  const counted = delivered + torn + discarded +
    sumOf(words.slice(READ_REJECTED, READ_REJECTED + REJECT_REASONS));
  const rest = Math.max(0, released - counted);
  const isLost = hasLostPower(file.u8);
  return {
    ring: RING_NAMES[ring],
    offered: claimed + sumOf(Object.values(refused)),
    claimed,
    refused,
    truncated: readLoss(file, ring, LOSS_TRUNCATED),
    delivered,
    torn,
    rejected,
    discarded,
    unknown: isLost ? rest : 0,
    uncounted: isLost ? 0 : rest,
    pending: claimed - released,
  };
}

/** How many records of a kind there are, over all reasons. */
export function totalOf(byReason: Readonly<Record<string, number>>): number {
  return sumOf(Object.values(byReason));
}

/** Do both equations hold, and did everybody who released records count them? */
export function closes(ledger: RingLedger): boolean {
  const { claimed, delivered, discarded, offered, pending, refused, rejected, torn, unknown } =
    ledger;
  return offered === claimed + totalOf(refused) &&
    claimed === delivered + torn + totalOf(rejected) + discarded + unknown + pending;
}

/** The ledger of several files. */
export function addLedgers(a: RingLedger, b: RingLedger): RingLedger {
  const both = <K extends string>(x: Readonly<Record<K, number>>, y: Readonly<Record<K, number>>) =>
    Object.fromEntries(
      (Object.keys(x) as K[]).map((key) => [key, x[key] + y[key]]),
    ) as Record<K, number>;
  const { ring, refused, rejected, ...numbers } = a;
  const { ring: _ring, refused: otherRefused, rejected: otherRejected, ...others } = b;
  return {
    ring,
    ...both(numbers, others),
    refused: both(refused, otherRefused),
    rejected: both(rejected, otherRejected),
  };
}

/** Both equations in words, "7 offered = 6 claimed + 1 refused (1 ring_full)" and so on. */
export function describeLedger(ledger: RingLedger): [offered: string, claimed: string] {
  const { claimed, delivered, discarded, offered, pending, torn, uncounted, unknown } = ledger;
  const lost = unknown > 0
    ? ` + ${unknown} released, and what became of them lost with the power`
    : "";
  const rest = uncounted > 0 ? ` + ${uncounted} released by a reader that does not count` : "";
  return [
    `${offered} offered = ${claimed} claimed + ${withReasons(ledger.refused, "refused")}`,
    `${claimed} claimed = ${delivered} delivered + ${torn} torn + ` +
    `${withReasons(ledger.rejected, "rejected")} + ${discarded} discarded${lost}${rest} + ` +
    `${pending} pending`,
  ];
}

function withReasons(byReason: Readonly<Record<string, number>>, what: string): string {
  const reasons = Object.entries(byReason).filter(([, count]) => count > 0)
    .map(([reason, count]) => `${count} ${reason}`);
  return `${totalOf(byReason)} ${what}${reasons.length > 0 ? ` (${reasons.join(", ")})` : ""}`;
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, each) => sum + each, 0);
}
