/**
 * The SDK of this repository with its defaults.
 *
 * @module
 */
import { start } from "../../mod.ts";
import { Mapping } from "../../ffi/mod.ts";
import { EXT_LOSS, LOSS_NAMES, LOSS_REASONS, RING_EVENTS } from "../../lib/format/layout.ts";
import { measure } from "./load.ts";

await measure((plan) => {
  const sdk = start({ directory: plan.directory, resource: { "service.name": "bench" } });
  if (!sdk.recording) throw new Error(sdk.reason);
  return {
    flush: async () => {
      if (!await sdk.forceFlush({ timeout: 30_000 })) throw new Error("no collector takes records");
    },
    losses: () => readLosses(sdk.path!),
    close: () => sdk.shutdown(),
  };
});

/** What the file itself says was lost, in records. */
function readLosses(path: string): Record<string, number> {
  const file = Mapping.open(path);
  const losses: Record<string, number> = {};
  for (const [reason, name] of LOSS_NAMES.entries()) {
    const count = Number(file.i64[(EXT_LOSS >> 3) + RING_EVENTS * LOSS_REASONS + reason]);
    if (count > 0) losses[name] = count;
  }
  file.close();
  return losses;
}
