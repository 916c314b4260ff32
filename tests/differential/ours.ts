/**
 * Runs programs on this SDK, one after the other, each in a directory of its own:
 * `ours.ts DIRECTORY PROGRAM...`.
 *
 * @module
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  start,
} from "../../mod.ts";
import { PROGRAMS } from "./programs.ts";

const [directory, ...names] = process.argv.slice(2);
const samplers: Record<string, Sampler> = {
  always_on: new AlwaysOnSampler(),
  always_off: new AlwaysOffSampler(),
  parentbased_always_off: new ParentBasedSampler({ root: new AlwaysOffSampler() }),
};

for (const name of names) {
  const { settings = {}, run } = PROGRAMS[name];
  const { temporality, histograms, views, limits } = settings;
  const own = join(directory, name);
  mkdirSync(own, { mode: 0o700 });
  const sdk = start({
    directory: own,
    env: { ...settings.variables, OTEL_NODE_RESOURCE_DETECTORS: "none" },
    resource: { "service.name": name, "resource.list": ["a", "b"] },
    sampler: settings.sampler && samplers[settings.sampler],
    limits,
    logs: { limits },
    metrics: { temporality, histograms, views },
  });
  if (!sdk.recording) throw new Error(sdk.reason);
  await run(() => sdk.meterProvider!.collect(1000));
  await sdk.shutdown();
}
