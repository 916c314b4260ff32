/**
 * The JSON Schema of configuration files, for editors. What it accepts and the program refuses is
 * what a schema can't say well: values of durations, URLs, headers.
 *
 * @module
 */
import { Command } from "commander";
import { INSTRUMENT_TYPES } from "../../lib/metrics/views.ts";
import { duration, timeout } from "../options/arguments.ts";
import { addCollect } from "../options/options.ts";
import { SIGNALS } from "../pipeline/signals.ts";
import { fileOptions, isRepeatable, isSwitch, takesBoolean } from "./flags.ts";
import { SEVERITIES } from "../text/severities.ts";
import { SPAN_KINDS, STATUSES } from "./processors.ts";
import { DETECTORS } from "./resource.ts";

/** A JSON Schema, or a part of one. */
export type Schema = { readonly [keyword: string]: unknown };

const TEXT: Schema = { type: "string" };
const SCALAR: Schema = { type: ["string", "number", "boolean"] };
const BOOLEAN: Schema = { type: ["boolean", "null"] };
const DURATION: Schema = {
  type: ["string", "number"],
  pattern: "^[0-9]+([.][0-9]+)? *(ms|s|m|h)?$",
  minimum: 0,
  description: "such as 500ms, 10s, 2m or 1h; a plain number is milliseconds",
};
const PATTERNS: Schema = {
  type: "array",
  minItems: 1,
  items: TEXT,
  description: "keys, in which * is any text and ? any character",
};
const SCALARS: Schema = { type: "object", additionalProperties: SCALAR };

function object(properties: Record<string, Schema>, required: readonly string[] = []): Schema {
  return { type: "object", properties, additionalProperties: false, required };
}

function list(items: Schema): Schema {
  return { type: ["array", "null"], items };
}

function words(names: readonly string[]): Schema {
  return { enum: names };
}

function anInteger(minimum: number, maximum: number): Schema {
  return { type: "integer", minimum, maximum };
}

/** One of several objects with a single field. */
function choice(kinds: Record<string, Schema>): Schema {
  return { ...object(kinds), minProperties: 1, maxProperties: 1 };
}

/** Makes the schema (draft 2020-12). */
export function configurationSchema(): Schema {
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "otlp-mmap collector",
    ...object({
      collect: collectSchema(),
      views: viewsSchema(),
      meter_provider: { type: ["object", "null"], properties: { views: viewsSchema() } },
      processors: list(processorSchema()),
      tail_sampling: object({
        decision_wait: {
          ...DURATION,
          description: `from a trace's first span on; default 10s; ${DURATION.description}`,
        },
        max_spans: { ...anInteger(1, 10_000_000), description: "held at most; default 100000" },
        keep_errors: BOOLEAN,
        keep_slower_than: DURATION,
        keep_per_second: { type: "number", minimum: 0, description: "traces of each service" },
        keep_probability: { type: "number", minimum: 0, maximum: 1 },
      }),
      resource: object({ attributes: SCALARS, detect: list(words(DETECTORS)) }),
    }),
  };
}

function collectSchema(): Schema {
  const program = new Command();
  addCollect(program, {}, () => {});
  const properties: Record<string, Schema> = { paths: list(TEXT) };
  const [command] = program.commands;
  for (const [name, option] of fileOptions(command)) {
    const { description } = option;
    properties[name] = isSwitch(option)
      ? { ...BOOLEAN, description }
      : isRepeatable(option)
      ? { type: ["string", "array"], items: TEXT, description }
      : option.parseArg === duration || option.parseArg === timeout
      ? { ...DURATION, description: `${description}; ${DURATION.description}` }
      : takesBoolean(command, option)
      ? { ...SCALAR, description }
      : { type: ["string", "number"], description };
  }
  return object(properties);
}

function processorSchema(): Schema {
  const condition = object({
    signals: { type: "array", items: words(SIGNALS) },
    service: TEXT,
    resource: SCALARS,
    scope: TEXT,
    name: TEXT,
    attributes: SCALARS,
    kind: words(Object.keys(SPAN_KINDS)),
    status: words(Object.keys(STATUSES)),
    min_duration: DURATION,
    severity_at_least: words(Object.keys(SEVERITIES)),
    severity_below: words(Object.keys(SEVERITIES)),
    body: TEXT,
  });
  const where: Schema = { anyOf: [condition, { type: "array", items: condition }] };
  const keys = { where, attributes: PATTERNS };
  return choice({
    drop: object({ where }, ["where"]),
    keep: object({ where }, ["where"]),
    redact: object({ ...keys, by: TEXT }, ["attributes"]),
    hash: object({ ...keys, secret_file: TEXT }, ["attributes"]),
    remove: object(keys, ["attributes"]),
    rename: object({ where, attributes: { type: "object", additionalProperties: TEXT } }, [
      "attributes",
    ]),
    set: object({ where, attributes: SCALARS }, ["attributes"]),
  });
}

function viewsSchema(): Schema {
  const none = { type: ["object", "null"], additionalProperties: false };
  const histogram = (more: Record<string, Schema>): Schema => ({
    ...object({ ...more, record_min_max: BOOLEAN }),
    type: ["object", "null"],
  });
  return list(object({
    selector: object({
      instrument_name: TEXT,
      instrument_type: words(Object.keys(INSTRUMENT_TYPES)),
      unit: TEXT,
      meter_name: TEXT,
      meter_version: TEXT,
      meter_schema_url: TEXT,
    }),
    stream: object({
      name: TEXT,
      description: TEXT,
      aggregation_cardinality_limit: anInteger(1, 0x7fffffff),
      attribute_keys: object({ included: list(TEXT), excluded: list(TEXT) }),
      aggregation: choice({
        default: none,
        drop: none,
        sum: none,
        last_value: none,
        explicit_bucket_histogram: histogram({ boundaries: list({ type: "number" }) }),
        base2_exponential_bucket_histogram: histogram({
          max_scale: { type: "integer" },
          max_size: { type: "integer" },
        }),
      }),
    }),
  }, ["selector", "stream"]));
}
