/**
 * What a loss of power has cost a file whose writer syncs it (durability "power").
 *
 * @module
 */
import { hasLostPower, trustedRecords } from "../../lib/file/boot.ts";
import { readState } from "../../lib/file/extension.ts";
import type { Geometry, RingGeometry } from "../../lib/file/geometry.ts";
import { readLedger } from "../../lib/file/ledger.ts";
import { RING_NAMES, RING_WRITER_INDEX, STATE_OPEN } from "../../lib/format/layout.ts";
import { loadIndex } from "../../lib/ring/index.ts";
import type { FileViews } from "../../lib/ring/write.ts";
import { counted } from "../inspect/units.ts";

/** Records in a ring that were not synced before the power was lost. The extension block must be there. */
export function untrustedRecords(file: FileViews, ring: RingGeometry): number {
  const claimed = Number(Atomics.load(file.i64, (ring.offset + RING_WRITER_INDEX) / 8)) + 1;
  const released = loadIndex(file.i64, ring).sequence + 1;
  return Math.max(0, claimed - Math.max(released, trustedRecords(file, ring.ring)));
}

/** In a sentence; null where it has cost nothing. The extension block must be there. */
export function describePowerLoss(file: FileViews, { rings }: Geometry): string | null {
  if (!hasLostPower(file.u8)) return null;
  const costs = rings.flatMap((ring) => {
    const name = RING_NAMES[ring.ring];
    const untrusted = untrustedRecords(file, ring);
    const { unknown } = readLedger(file, ring);
    return [
      untrusted > 0
        ? `${counted(untrusted, "record")} of the ${name} ring can't be trusted, and count as torn`
        : "",
      unknown > 0
        ? `what became of ${
          counted(unknown, "record")
        } of the ${name} ring that a reader gave back ` +
          "is not known"
        : "",
    ];
  }).filter((cost) => cost !== "");
  // The state is stored last: every other word of its page is that of the end, too.
  if (costs.length === 0 && readState(file) !== STATE_OPEN) return null;
  return [
    "the system stopped after this was written, and what was not synced then is lost, uncounted",
    ...costs,
  ].join("; ");
}
