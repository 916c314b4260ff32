/**
 * Preloaded into the collector: kills it after a step. OTLP_MMAP_TEST_KILL is the step's name, a
 * comma, and the how manieth of that name it is.
 */
import process from "node:process";
import { killSelf, watch } from "../support/stores.ts";

const [wanted, count] = (process.env.OTLP_MMAP_TEST_KILL ?? "").split(",");
let left = Number(count);
watch((name) => {
  if (name === wanted && --left === 0) killSelf();
});
