/**
 * Views from a YAML file in the form of OpenTelemetry's declarative configuration
 * (opentelemetry-configuration, `meter_provider.views`).
 *
 * @module
 */
import { DEFAULT_BOUNDARIES } from "../record/metric.ts";
import {
  INSTRUMENT_COUNTER,
  INSTRUMENT_GAUGE,
  INSTRUMENT_HISTOGRAM,
  INSTRUMENT_OBSERVABLE_COUNTER,
  INSTRUMENT_OBSERVABLE_GAUGE,
  INSTRUMENT_OBSERVABLE_UP_DOWN_COUNTER,
  INSTRUMENT_UP_DOWN_COUNTER,
} from "../format/fields.ts";
import { MAX_SCALE, MIN_SCALE } from "./bucket-index.ts";
import { DEFAULT_MAX_BUCKETS, MAX_BUCKETS, MIN_BUCKETS } from "./exponential.ts";
import type { Aggregation, AttributeKeys, Selector, StreamSettings, View } from "./views.ts";
import { ConfigFile, type Field, listOf } from "./yaml-fields.ts";

/** Instruments by the names that a file has for them. */
export const INSTRUMENT_TYPES: Readonly<Record<string, number>> = {
  counter: INSTRUMENT_COUNTER,
  gauge: INSTRUMENT_GAUGE,
  histogram: INSTRUMENT_HISTOGRAM,
  observable_counter: INSTRUMENT_OBSERVABLE_COUNTER,
  observable_gauge: INSTRUMENT_OBSERVABLE_GAUGE,
  observable_up_down_counter: INSTRUMENT_OBSERVABLE_UP_DOWN_COUNTER,
  up_down_counter: INSTRUMENT_UP_DOWN_COUNTER,
};

/** Where views are in a file. */
const FIELDS = ["views", "meter_provider"];
const PROVIDER_FIELDS = ["readers", "views", "exemplar_filter", "meter_configurator/development"];
const SELECTOR_FIELDS = [
  "instrument_name",
  "instrument_type",
  "unit",
  "meter_name",
  "meter_version",
  "meter_schema_url",
];
const STREAM_FIELDS = [
  "name",
  "description",
  "aggregation",
  "aggregation_cardinality_limit",
  "attribute_keys",
];
const AGGREGATION_FIELDS: Readonly<Record<string, readonly string[]>> = {
  default: [],
  drop: [],
  sum: [],
  last_value: [],
  explicit_bucket_histogram: ["boundaries", "record_min_max"],
  base2_exponential_bucket_histogram: ["max_scale", "max_size", "record_min_max"],
};
const MAX_CARDINALITY = 0x7fffffff;

/**
 * Reads `views`, at the top of a file or in its `meter_provider`. A file that has a `file_format`
 * is a whole configuration, of which everything else is the application's and passed over.
 *
 * @param path What people call the file.
 * @throws {Error} Everything that is wrong with it, one line each: file, line, column, field and what
 * is allowed.
 */
export function parseViews(text: string, path: string): View[] {
  const file = new ConfigFile(text, path);
  const views = file.root === null ? [] : readFile(file);
  if (file.problems.length > 0) throw new Error(file.problems.join("\n"));
  return views;
}

function readFile(file: ConfigFile): View[] {
  const all = file.fields(file.root, "", null, undefined);
  if (file.problems.length > 0) return [];
  return readViews(file, all.has("file_format") ? all : file.fields(file.root, "", null, FIELDS));
}

/** Reads `views`, or those of the `meter_provider`, among the fields at the top of a file. */
export function readViews(file: ConfigFile, top: ReadonlyMap<string, Field>): View[] {
  const provider = top.get("meter_provider");
  const nested = provider === undefined || provider.value === null
    ? undefined
    : file.fields(provider.value, provider.name, provider.key, PROVIDER_FIELDS).get("views");
  const list = top.get("views") ?? nested;
  if (list === undefined || list.value === null) return [];
  if (list !== nested && nested !== undefined) {
    file.complain(nested, "there are views at the top of the file already: keep one of both");
  }
  return file.entries(list).map((entry) => readView(file, entry));
}

function readView(file: ConfigFile, entry: Field): View {
  const fields = file.fields(entry.value, entry.name, entry.key, ["selector", "stream"]);
  const [selector, stream] = ["selector", "stream"].map((name) => {
    const field = fields.get(name);
    if (field === undefined) file.complain(entry, `has no ${name}; {} stands for everything`);
    return field;
  });
  const view = {
    place: file.placeOf(entry.value),
    selector: readSelector(file, selector),
    stream: readStream(file, stream),
  };
  const pattern = view.selector.instrumentName;
  if (view.stream?.name !== undefined && (pattern === undefined || /[*?]/.test(pattern))) {
    file.complain(
      entry,
      "a stream with a name must be of one instrument: give selector.instrument_name, without * or ?",
    );
  }
  return view;
}

function readSelector(file: ConfigFile, field: Field | undefined): Selector {
  const fields = field === undefined
    ? new Map<string, Field>()
    : file.fields(field.value, field.name, field.key, SELECTOR_FIELDS);
  const type = file.word(fields.get("instrument_type"), Object.keys(INSTRUMENT_TYPES));
  return {
    instrumentName: nonEmpty(file, fields.get("instrument_name")),
    instrumentType: type === undefined ? undefined : INSTRUMENT_TYPES[type],
    unit: file.text(fields.get("unit")),
    meterName: file.text(fields.get("meter_name")),
    meterVersion: file.text(fields.get("meter_version")),
    meterSchemaUrl: file.text(fields.get("meter_schema_url")),
  };
}

function readStream(file: ConfigFile, field: Field | undefined): StreamSettings | undefined {
  const fields = field === undefined
    ? new Map<string, Field>()
    : file.fields(field.value, field.name, field.key, STREAM_FIELDS);
  const name = nonEmpty(file, fields.get("name"));
  const description = file.text(fields.get("description"));
  const limit = fields.get("aggregation_cardinality_limit");
  const cardinalityLimit = file.integer(limit, 1, MAX_CARDINALITY);
  const attributeKeys = readAttributeKeys(file, fields.get("attribute_keys"));
  const aggregation = readAggregation(file, fields.get("aggregation"));
  if (aggregation === undefined) return undefined;
  return { name, description, aggregation, cardinalityLimit, attributeKeys };
}

function nonEmpty(file: ConfigFile, field: Field | undefined): string | undefined {
  const text = file.text(field);
  if (text === "") file.complain(field!, "must not be empty");
  return text;
}

/** Undefined for one that drops. */
function readAggregation(file: ConfigFile, field: Field | undefined): Aggregation | undefined {
  const other: Aggregation = { kind: "default" };
  if (field === undefined || field.value === null) return other;
  const before = file.problems.length;
  const kinds = Object.keys(AGGREGATION_FIELDS);
  const [found, ...more] = file.fields(field.value, field.name, field.key, kinds);
  if (found === undefined || more.length > 0) {
    if (file.problems.length === before) file.complain(field, `must be one of ${listOf(kinds)}`);
    return other;
  }
  const [kind, { value, name, key }] = found;
  const fields = value === null
    ? new Map<string, Field>()
    : file.fields(value, name, key, AGGREGATION_FIELDS[kind]);
  const recordMinMax = file.boolean(fields.get("record_min_max")) ?? true;
  switch (kind) {
    case "drop":
      return undefined;
    case "sum":
    case "last_value":
      return { kind };
    case "explicit_bucket_histogram": {
      const list = fields.get("boundaries");
      const boundaries = list === undefined ? DEFAULT_BOUNDARIES : readBoundaries(file, list);
      return { kind, boundaries, recordMinMax };
    }
    case "base2_exponential_bucket_histogram": {
      const maxScale = file.integer(fields.get("max_scale"), MIN_SCALE, MAX_SCALE) ?? MAX_SCALE;
      const maxSize = file.integer(fields.get("max_size"), MIN_BUCKETS, MAX_BUCKETS);
      return { kind, maxScale, maxSize: maxSize ?? DEFAULT_MAX_BUCKETS, recordMinMax };
    }
    default:
      return other;
  }
}

function readBoundaries(file: ConfigFile, list: Field): number[] {
  const boundaries: number[] = [];
  for (const entry of file.entries(list)) {
    const boundary = file.number(entry);
    if (boundary === undefined) continue;
    const last = boundaries.at(-1);
    if (last !== undefined && boundary <= last) {
      file.complain(
        entry,
        `${boundary} is not above the one before it, ${last}: boundaries increase`,
      );
    }
    boundaries.push(boundary);
  }
  return boundaries;
}

function readAttributeKeys(
  file: ConfigFile,
  field: Field | undefined,
): AttributeKeys | undefined {
  if (field === undefined || field.value === null) return undefined;
  const fields = file.fields(field.value, field.name, field.key, ["included", "excluded"]);
  const [included, excluded] = ["included", "excluded"].map((name) => {
    const list = fields.get(name);
    if (list === undefined) return undefined;
    const entries = file.entries(list);
    // Nothing included would be everything left out: more likely a mistake, so it has to be said.
    if (entries.length === 0 && list.value !== null) {
      file.complain(list, `must not be empty; to keep no attribute, say excluded: ["*"]`);
    }
    return entries.map((entry) => {
      if (entry.value === null) file.complain(entry, "must be a text");
      return file.text(entry) ?? "";
    });
  });
  return { included, excluded: excluded ?? [] };
}
