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

/** Stores deaths, in the transaction that is open; those whose resource is not there are left out. */
export function storeDeaths(db: DatabaseSync, deaths: readonly Death[]): void {
  const ofService = db.prepare("SELECT id, body FROM resources WHERE service = ? ORDER BY id DESC");
  // A second time it is found dead by a collector that was killed before it could give the file back.
  const insert = db.prepare("INSERT OR IGNORE INTO deaths VALUES (?, ?)");
  for (const death of deaths) {
    const rows = ofService.all(death.service) as { id: number; body: Uint8Array }[];
    const found = rows.find(({ body }) => {
      const { attributes } = fromBinary(ResourceSchema, body, DECODING);
      return isOf(death.service, (key) => textOf(attributes, key) || undefined, death);
    });
    if (found !== undefined) insert.run(found.id, death.timeNs);
  }
}
