/**
 * Processes that died into their table.
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";
import { fromBinary } from "@bufbuild/protobuf";
import { ResourceSchema } from "../../../proto/gen/otlp_pb.ts";
import { type Identity, isOf, textOf } from "../../files/names.ts";
import { DECODING } from "../../send/decoding.ts";

/** A process that died. */
export interface Death extends Identity {
  /** Its last sign, nanoseconds since the epoch. */
  readonly timeNs: bigint;
}

/** The newest resources of a service that are looked at: enough for all that run at a time. */
const MAX_LOOKED_AT = 1000;

/** Stores deaths, in the transaction that is open. Returns those whose resource is not there. */
export function storeDeaths(db: DatabaseSync, deaths: readonly Death[]): Death[] {
  const ofService = db.prepare(
    `SELECT id, body FROM resources WHERE service = ? ORDER BY id DESC LIMIT ${MAX_LOOKED_AT}`,
  );
  // A second time it is found dead by a collector that was killed before it could give the file back.
  const insert = db.prepare("INSERT OR IGNORE INTO deaths VALUES (?, ?)");
  return deaths.filter((death) => {
    const rows = ofService.all(death.service) as { id: number; body: Uint8Array }[];
    const found = rows.find(({ body }) => isResourceOf(death, body));
    if (found !== undefined) insert.run(found.id, death.timeNs);
    return found === undefined;
  });
}

function isResourceOf(death: Death, body: Uint8Array): boolean {
  try {
    const { attributes } = fromBinary(ResourceSchema, body, DECODING);
    return isOf(death.service, (key) => textOf(attributes, key) || undefined, death);
  } catch {
    // Kept as it came, though it can't be read.
    return false;
  }
}
