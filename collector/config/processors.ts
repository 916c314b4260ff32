/**
 * Processors from a configuration file.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import type { Signal } from "../../lib/otlp/request.ts";
import type { ConfigFile, Field } from "../../lib/metrics/yaml-fields.ts";
import { parseDuration } from "../options/durations.ts";
import { SEVERITIES } from "../text/severities.ts";
import { SIGNALS } from "../pipeline/signals.ts";
import { whyNotRead } from "../text/text.ts";
import type { Condition, Wanted } from "../processors/condition.ts";
import type { Action, Processor, Scalar } from "../processors/processor.ts";

/** What a condition may be about. */
export const CONDITION_FIELDS = [
  "signals",
  "service",
  "resource",
  "scope",
  "name",
  "attributes",
  "kind",
  "status",
  "min_duration",
  "severity_at_least",
  "severity_below",
  "body",
];
/** `complete` is what `resource` at the top of the file is for. */
type Kind = Exclude<Action["kind"], "complete">;
const ACTION_FIELDS: Readonly<Record<Kind, readonly string[]>> = {
  drop: [],
  keep: [],
  redact: ["attributes", "by"],
  hash: ["attributes", "secret_file"],
  remove: ["attributes"],
  rename: ["attributes"],
  set: ["attributes"],
};
const KINDS = Object.keys(ACTION_FIELDS) as Kind[];

/** SpanKind by its name. */
export const SPAN_KINDS: Readonly<Record<string, number>> = {
  internal: 1,
  server: 2,
  client: 3,
  producer: 4,
  consumer: 5,
};
/** StatusCode by its name. */
export const STATUSES: Readonly<Record<string, number>> = { unset: 0, ok: 1, error: 2 };

/** Reads the list `processors`; what is wrong goes to the file's problems. */
export function readProcessors(file: ConfigFile, list: Field | undefined): Processor[] {
  if (list === undefined || list.value === null) return [];
  return file.entries(list).flatMap((entry) => readProcessor(file, entry) ?? []);
}

function readProcessor(file: ConfigFile, entry: Field): Processor | undefined {
  const before = file.problems.length;
  const [found, ...more] = file.fields(entry.value, entry.name, entry.key, KINDS);
  if (found === undefined || more.length > 0) {
    if (file.problems.length === before) {
      file.complain(entry, `must be one of ${KINDS.join(", ")}, and one only`);
    }
    return undefined;
  }
  const [kind, field] = found;
  const fields = file.fields(field.value, field.name, field.key, [
    "where",
    ...ACTION_FIELDS[kind as Kind],
  ]);
  const where = readWhere(file, fields.get("where"));
  const action = readAction(file, kind as Kind, field, fields);
  if ((kind === "drop" || kind === "keep") && where.length === 0) {
    file.complain(field, `needs "where": without one it would be about everything`);
  }
  return action === undefined ? undefined : { where, action };
}

function readAction(
  file: ConfigFile,
  kind: Kind,
  of: Field,
  fields: ReadonlyMap<string, Field>,
): Action | undefined {
  if (kind === "drop" || kind === "keep") return { kind };
  const attributes = fields.get("attributes");
  if (attributes === undefined) {
    file.complain(of, "has no attributes");
    return undefined;
  }
  switch (kind) {
    case "redact":
      return {
        kind,
        keys: readTexts(file, attributes),
        by: file.text(fields.get("by")) ?? "[redacted]",
      };
    case "hash":
      return {
        kind,
        keys: readTexts(file, attributes),
        secret: readSecret(file, fields.get("secret_file")),
      };
    case "remove":
      return { kind, keys: readTexts(file, attributes) };
    case "rename": {
      const keys = new Map<string, string>();
      for (const [key, field] of readMap(file, attributes)) {
        const name = file.text(field);
        if (name !== undefined && name !== "") keys.set(key, name);
        else if (name === "") file.complain(field, "must not be empty");
      }
      return { kind, keys };
    }
    case "set":
      return { kind, values: readScalars(file, attributes) };
  }
}

/** Attributes with values: texts, numbers, true or false. */
export function readScalars(file: ConfigFile, of: Field): Map<string, Scalar> {
  const values = new Map<string, Scalar>();
  for (const [key, field] of readMap(file, of)) {
    const value = file.anyScalar(field);
    if (value !== undefined) values.set(key, value);
  }
  return values;
}

function readMap(file: ConfigFile, of: Field): Map<string, Field> {
  return file.fields(of.value, of.name, of.key, undefined);
}

function readTexts(file: ConfigFile, list: Field): string[] {
  const texts = file.entries(list).map((entry) => {
    if (entry.value === null) file.complain(entry, "must be a text");
    return file.text(entry) ?? "";
  });
  if (texts.length === 0) file.complain(list, "must not be empty");
  return texts;
}

function readSecret(file: ConfigFile, field: Field | undefined): string {
  const path = file.text(field);
  if (field === undefined || path === undefined) return "";
  try {
    const secret = readFileSync(path, "utf8").trim();
    if (secret === "") file.complain(field, "the file is empty");
    return secret;
  } catch (error) {
    file.complain(field, `${path} can't be read: ${whyNotRead(error as Error)}`);
    return "";
  }
}

/** A condition, or a list of which any may hold. */
function readWhere(file: ConfigFile, field: Field | undefined): Condition[] {
  if (field === undefined || field.value === null) return [];
  const all = file.isList(field) ? file.entries(field) : [field];
  return all.map((each) => readCondition(file, each));
}

function readCondition(file: ConfigFile, of: Field): Condition {
  const fields = file.fields(of.value, of.name, of.key, CONDITION_FIELDS);
  const numberOf = (name: string, words: Readonly<Record<string, number>>): number | undefined => {
    const word = file.word(fields.get(name), Object.keys(words));
    return word === undefined ? undefined : words[word];
  };
  const signals = fields.get("signals");
  return {
    signals: signals === undefined
      ? undefined
      : file.entries(signals).flatMap((each) => (file.word(each, SIGNALS) ?? []) as Signal[]),
    service: file.text(fields.get("service")),
    resource: readWanted(file, fields.get("resource")),
    scope: file.text(fields.get("scope")),
    name: file.text(fields.get("name")),
    attributes: readWanted(file, fields.get("attributes")),
    kind: numberOf("kind", SPAN_KINDS),
    status: numberOf("status", STATUSES),
    minDuration: nanosOf(readDuration(file, fields.get("min_duration"))),
    severityAtLeast: numberOf("severity_at_least", SEVERITIES),
    severityBelow: numberOf("severity_below", SEVERITIES),
    body: file.text(fields.get("body")),
  };
}

function nanosOf(ms: number | undefined): bigint | undefined {
  return ms === undefined ? undefined : BigInt(Math.round(ms * 1e6));
}

/** Values may be written as numbers or words: they are compared as text. */
function readWanted(file: ConfigFile, of: Field | undefined): Wanted | undefined {
  if (of === undefined) return undefined;
  return [...readMap(file, of)].map(([key, field]) => [key, file.scalarText(field) ?? ""] as const);
}

/**
 * Milliseconds of a duration such as `500ms`, or of a plain number, as flags have them; undefined
 * where it is missing or wrong.
 */
export function readDuration(file: ConfigFile, field: Field | undefined): number | undefined {
  const text = field === undefined ? undefined : file.scalarText(field);
  if (field === undefined || text === undefined) return undefined;
  const ms = parseDuration(text);
  if (ms === undefined) file.complain(field, `${JSON.stringify(text)} is no duration such as 10s`);
  return ms;
}
