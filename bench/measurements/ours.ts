/**
 * The SDK of this repository with its defaults.
 *
 * @module
 */
import { start } from "../../mod.ts";
import { measure } from "./load.ts";

await measure((plan) => {
  const sdk = start({ directory: plan.directory, resource: { "service.name": "bench" } });
  if (!sdk.recording) throw new Error(sdk.reason);
  return {
    flush: async () => {
      if (!await sdk.forceFlush({ timeout: 30_000 })) throw new Error("no collector takes records");
    },
    close: () => sdk.shutdown(),
  };
});
