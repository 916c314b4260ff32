/**
 * Runs a program on this SDK: `ours.ts PROGRAM DIRECTORY`.
 *
 * @module
 */
import process from "node:process";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  start,
} from "../../mod.ts";
import { PROGRAMS } from "./programs.ts";

const [name, directory] = process.argv.slice(2);
const { settings = {}, run } = PROGRAMS[name];
const { temporality, histograms, views, limits } = settings;
const samplers: Record<string, Sampler> = {
  always_on: new AlwaysOnSampler(),
  always_off: new AlwaysOffSampler(),
  parentbased_always_off: new ParentBasedSampler({ root: new AlwaysOffSampler() }),
};
const sdk = start({
  directory,
  env: { OTEL_NODE_RESOURCE_DETECTORS: "none" },
  resource: { "service.name": name, "resource.list": ["a", "b"] },
  sampler: settings.sampler && samplers[settings.sampler],
  limits,
  logs: { limits },
  metrics: { temporality, histograms, views },
});
if (!sdk.recording) throw new Error(sdk.reason);
await run();
await sdk.shutdown();
