/**
 * What can be asked for after the `?`: each parameter with its description and its parser.
 *
 * @module
 */
import {
  type Attribute,
  type AttributeFilter,
  InvalidQuery,
  type Kind,
  type LogFilter,
  type Page,
  type SpanFilter,
  type Status,
  type TimeRange,
  type Value,
} from "../store/queries/types.ts";
import { KINDS, STATUSES } from "../store/read/spans.ts";
import { BOOLEAN, COUNT, NUMBER, type Schema, SPAN_ID, TEXT, TRACE_ID, words } from "./schema.ts";

/** A parameter of the query. */
export interface Parameter {
  readonly name: string;
  readonly description: string;
  readonly schema: Schema;
  /** May be given several times. */
  readonly repeatable?: boolean;
  readonly required?: boolean;
  /** @throws InvalidQuery when the text is none of these. */
  parse(text: string): unknown;
}

/** What was asked for, by the names of parameters. */
export type Asked = Readonly<Record<string, unknown>>;

/** A query has no more parameters than this. */
const MAX_PARAMETERS = 200;

function text(name: string, description: string, schema: Schema = TEXT): Parameter {
  return {
    name,
    description,
    schema,
    parse(value) {
      const { pattern } = schema as { pattern?: string };
      if (pattern !== undefined && !new RegExp(pattern).test(value.toLowerCase())) {
        throw new InvalidQuery(`${name} is not ${description}`);
      }
      return pattern === undefined ? value : value.toLowerCase();
    },
  };
}

function number(name: string, description: string, schema: Schema): Parameter {
  const { minimum = -Infinity, maximum = Infinity, type } = schema as {
    minimum?: number;
    maximum?: number;
    type: string;
  };
  return {
    name,
    description,
    schema,
    parse(value) {
      const parsed = /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(value) ? Number(value) : NaN;
      const whole = type !== "integer" || Number.isSafeInteger(parsed);
      if (!whole || !(parsed >= minimum && parsed <= maximum)) {
        const range = `${minimum === -Infinity ? "" : ` from ${minimum}`}${
          maximum === Infinity ? "" : ` to ${maximum}`
        }`;
        throw new InvalidQuery(
          `${name} must be ${type === "integer" ? "a whole number" : "a number"}${range}`,
        );
      }
      return parsed;
    },
  };
}

function choice(name: string, description: string, names: readonly string[]): Parameter {
  return {
    name,
    description,
    schema: words(names),
    parse(value) {
      if (names.includes(value)) return value;
      throw new InvalidQuery(`${name} must be one of ${names.join(", ")}`);
    },
  };
}

function boolean(name: string, description: string): Parameter {
  return {
    name,
    description,
    schema: BOOLEAN,
    parse(value) {
      if (value === "true" || value === "false") return value === "true";
      throw new InvalidQuery(`${name} must be true or false`);
    },
  };
}

/** `key=value`, the value as JSON. */
function parseAttribute(text: string): AttributeFilter {
  // A key may have a "=" in it: the value begins after the first one that JSON follows.
  for (let at = text.indexOf("="); at >= 0; at = text.indexOf("=", at + 1)) {
    const json = text.slice(at + 1);
    if (at === 0) continue;
    try {
      return { key: text.slice(0, at), value: toValue(JSON.parse(json), json.trim()) };
    } catch {
      continue;
    }
  }
  throw new InvalidQuery(
    'attribute must be key=value with the value as JSON, such as http.route="/items", n=1 or ok=true',
  );
}

/** @param source The JSON itself, where it is at hand: numbers are integers by how they are written. */
function toValue(json: unknown, source?: string): Value {
  switch (typeof json) {
    case "string":
      return { stringValue: json };
    case "boolean":
      return { boolValue: json };
    case "number":
      if (source !== undefined && /^-?\d+$/.test(source)) return { intValue: source };
      return Number.isSafeInteger(json) && source === undefined
        ? { intValue: String(json) }
        : { doubleValue: json };
    default:
      if (json === null) return {};
      if (Array.isArray(json)) return { arrayValue: { values: json.map((each) => toValue(each)) } };
      return {
        kvlistValue: {
          values: Object.entries(json as object).map(([key, value]): Attribute => ({
            key,
            value: toValue(value),
          })),
        },
      };
  }
}

const MILLISECONDS: Schema = { ...NUMBER, minimum: 0, maximum: 8_640_000_000_000_000 };
const from = number("from", "unix milliseconds, inclusive", MILLISECONDS);
const to = number("to", "unix milliseconds, exclusive", MILLISECONDS);
const required = (parameter: Parameter): Parameter => ({ ...parameter, required: true });
const services: Parameter = {
  ...text("service", "any of these services"),
  repeatable: true,
};
const attribute: Parameter = {
  name: "attribute",
  description: "an attribute of it, its resource or its scope: `key=value`, the value as JSON of " +
    'the same type; `http.route="/items"`, `n=1`, `x=1.0`, `ok=true`',
  schema: TEXT,
  repeatable: true,
  parse: parseAttribute,
};
const NON_NEGATIVE: Schema = { ...NUMBER, minimum: 0 };

export const RANGE: readonly Parameter[] = [from, to];
export const REQUIRED_RANGE: readonly Parameter[] = RANGE.map(required);
export const STEPS: Parameter = number("steps", "equal stretches of the time, for charts", {
  ...COUNT,
  minimum: 1,
  maximum: 1_000,
});
export const SERVICE: Parameter = text("service", "only of this service");
export const SECONDS: Parameter = number("seconds", "before the last sign of it; default 30", {
  ...NUMBER,
  minimum: 1,
  maximum: 3_600,
});
export const CURSOR: Parameter = text("cursor", "`next` of the page before");

/** How many rows there are at most. */
export function limit(maximum: number, byDefault: number): Parameter {
  const schema = { ...COUNT, minimum: 1, maximum, default: byDefault };
  return number("limit", "rows at most", schema);
}

export const SPAN_FILTER: readonly Parameter[] = [
  services,
  text("name", "exactly this name of a span"),
  text("nameContains", "text that the name contains, letters of either case"),
  attribute,
  choice("status", "status of the span", STATUSES),
  choice("kind", "kind of the span", KINDS),
  number("minDurationNs", "nanoseconds", NON_NEGATIVE),
  number("maxDurationNs", "nanoseconds", NON_NEGATIVE),
  boolean("interrupted", "true: spans that their process did not end; false: the others"),
  boolean("root", "true: spans without a parent; false: the others"),
  ...RANGE,
];

export const LOG_FILTER: readonly Parameter[] = [
  services,
  text("text", "full text: words, phrases in quotes, prefix*, AND, OR, NOT"),
  number("minSeverity", "OTLP severity number at least", { ...COUNT, minimum: 1, maximum: 24 }),
  attribute,
  text("traceId", "32 hexadecimal digits", TRACE_ID),
  text("spanId", "16 hexadecimal digits", SPAN_ID),
  number("afterId", "only records that came after this one, oldest first", {
    type: "integer",
    minimum: -1,
  }),
  number("resourceId", "only of this resource", { type: "integer" }),
  ...RANGE,
];

/**
 * Reads a query.
 *
 * @throws InvalidQuery when there is something in it that is not among these, or a bad value.
 */
export function readQuery(parameters: readonly Parameter[], query: URLSearchParams): Asked {
  if (query.size > MAX_PARAMETERS) throw new InvalidQuery("these are too many parameters");
  const asked: Record<string, unknown> = Object.create(null);
  for (const [name, value] of query) {
    const parameter = parameters.find((each) => each.name === name);
    if (parameter === undefined) {
      const known = parameters.map((each) => each.name).join(", ");
      throw new InvalidQuery(
        `there is no parameter of this name here; there ${
          known === "" ? "are none" : `is ${known}`
        }`,
      );
    }
    const parsed = parameter.parse(value);
    if (parameter.repeatable) asked[name] = [...(asked[name] as unknown[] ?? []), parsed];
    else if (name in asked) throw new InvalidQuery(`${name} can be given once only`);
    else asked[name] = parsed;
  }
  for (const { name, required: isRequired } of parameters) {
    if (isRequired && !(name in asked)) throw new InvalidQuery(`${name} is missing`);
  }
  return asked;
}

/** `from` and `to`. */
export function rangeOf({ from, to }: Asked): TimeRange {
  return withoutNothing({ fromMs: from as number, toMs: to as number });
}

/** `limit` and `cursor`. */
export function pageOf({ limit, cursor }: Asked): Page {
  return withoutNothing({ limit: limit as number, cursor: cursor as string });
}

/** What {@linkcode SPAN_FILTER} said. */
export function spanFilterOf(asked: Asked): SpanFilter {
  return withoutNothing({
    services: asked.service as string[],
    name: asked.name as string,
    nameContains: asked.nameContains as string,
    attributes: asked.attribute as AttributeFilter[],
    status: asked.status as Status,
    kind: asked.kind as Kind,
    minDurationNs: asked.minDurationNs as number,
    maxDurationNs: asked.maxDurationNs as number,
    interrupted: asked.interrupted as boolean,
    root: asked.root as boolean,
    ...rangeOf(asked),
  });
}

/** What {@linkcode LOG_FILTER} said. */
export function logFilterOf(asked: Asked): LogFilter {
  return withoutNothing({
    services: asked.service as string[],
    text: asked.text as string,
    minSeverity: asked.minSeverity as number,
    attributes: asked.attribute as AttributeFilter[],
    traceId: asked.traceId as string,
    spanId: asked.spanId as string,
    afterId: asked.afterId as number,
    resourceId: asked.resourceId as number,
    ...rangeOf(asked),
  });
}

function withoutNothing<T extends object>(all: T): T {
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as T;
}
