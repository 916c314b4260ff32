/**
 * Parts of JSON Schemas (draft 2020-12, as OpenAPI 3.1 has them).
 *
 * @module
 */

/** A JSON Schema, or a part of one. */
export type Schema = { readonly [keyword: string]: unknown };

export const TEXT: Schema = { type: "string" };
export const NUMBER: Schema = { type: "number" };
export const INTEGER: Schema = { type: "integer" };
export const COUNT: Schema = { type: "integer", minimum: 0 };
export const BOOLEAN: Schema = { type: "boolean" };
export const NANOSECONDS: Schema = {
  type: "string",
  pattern: "^-?[0-9]+$",
  description: "nanoseconds since the Unix epoch, decimal",
};
export const TRACE_ID: Schema = { type: "string", pattern: "^[0-9a-f]{32}$" };
export const SPAN_ID: Schema = { type: "string", pattern: "^[0-9a-f]{16}$" };

/** Either this or the empty text. */
export function orNothing(schema: Schema): Schema {
  return { ...schema, pattern: `^$|${schema.pattern as string}` };
}

/** An object that has all of these members, and of the optional ones any; no others. */
export function object(
  properties: Readonly<Record<string, Schema>>,
  optional: Readonly<Record<string, Schema>> = {},
): Schema {
  return {
    type: "object",
    properties: { ...properties, ...optional },
    required: Object.keys(properties),
    additionalProperties: false,
  };
}

export function list(items: Schema): Schema {
  return { type: "array", items };
}

/** An object whose members all are alike. */
export function record(values: Schema): Schema {
  return { type: "object", additionalProperties: values };
}

export function words(names: readonly string[]): Schema {
  return { type: "string", enum: names };
}

/** A schema of the description, by its name. */
export function ref(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

export function orNull(schema: Schema): Schema {
  return { anyOf: [schema, { type: "null" }] };
}
