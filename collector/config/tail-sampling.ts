/**
 * Tail sampling from a configuration file.
 *
 * @module
 */
import type { ConfigFile, Field } from "../../lib/metrics/yaml-fields.ts";
import { readDuration } from "./processors.ts";
import type { TailSampling } from "../tail-sampling/sink.ts";

const DEFAULT_WAIT_MS = 10_000;
const MAX_WAIT_MS = 600_000;
const DEFAULT_MAX_SPANS = 100_000;
const LARGEST_MAX_SPANS = 10_000_000;
const FIELDS = [
  "decision_wait",
  "max_spans",
  "keep_errors",
  "keep_slower_than",
  "keep_per_second",
  "keep_probability",
];

/** Reads `tail_sampling`; null where there is none. What is wrong goes to the file's problems. */
export function readTailSampling(file: ConfigFile, field: Field | undefined): TailSampling | null {
  if (field === undefined || field.value === null) return null;
  const fields = file.fields(field.value, field.name, field.key, FIELDS);
  const wait = fields.get("decision_wait");
  const decisionWaitMs = readDuration(file, wait) ?? DEFAULT_WAIT_MS;
  if (decisionWaitMs > MAX_WAIT_MS) {
    file.complain(wait!, `must be 10m at most, is ${file.shown(wait!)}`);
  }
  const slow = readDuration(file, fields.get("keep_slower_than"));
  return {
    decisionWaitMs,
    maxSpans: file.integer(fields.get("max_spans"), 1, LARGEST_MAX_SPANS) ?? DEFAULT_MAX_SPANS,
    policies: {
      errors: file.boolean(fields.get("keep_errors")) ?? false,
      latency: slow === undefined ? null : BigInt(Math.round(slow * 1e6)),
      rate: readNumber(file, fields.get("keep_per_second"), 1e9) ?? null,
      probability: readNumber(file, fields.get("keep_probability"), 1) ?? 0,
    },
  };
}

/** A number from 0 to `most`. */
function readNumber(
  file: ConfigFile,
  field: Field | undefined,
  most: number,
): number | undefined {
  if (field === undefined || field.value === null) return undefined;
  const value = file.number(field);
  if (value !== undefined && (value < 0 || value > most)) {
    file.complain(field, `must be from 0 to ${most}, is ${file.shown(field)}`);
  }
  return value;
}
