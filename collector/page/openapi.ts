/**
 * The description of the API (OpenAPI 3.1), made of its routes.
 *
 * @module
 */
import packageJson from "../../package.json" with { type: "json" };
import type { Parameter } from "./parameters.ts";
import { type Route, ROUTES } from "./routes.ts";
import { ref, type Schema, TEXT } from "./schema.ts";
import { SCHEMAS } from "./schemas.ts";

const ERRORS: Readonly<Record<number, string>> = {
  400: "something asked for can't be asked for",
  401: "the token is missing or wrong",
  403: "a foreign Host or Origin, or a page of another site",
  503: "the store can't be read, or too many ask",
};

/** Makes it. */
export function describeApi(): Schema {
  return {
    openapi: "3.1.0",
    info: {
      title: "otlp-mmap collector",
      version: packageJson.version,
      description:
        "What a collector has stored, and what it sees. Times in names that end with Ns " +
        "are decimal text of nanoseconds since the Unix epoch. Answers of many rows have `next`: " +
        "the `cursor` of the page after. Every answer may be compressed (gzip).",
      license: { name: packageJson.license, identifier: packageJson.license },
    },
    security: [{ cookie: [] }, { token: [] }],
    paths: Object.fromEntries(ROUTES.map((route) => [route.path, { get: describe(route) }])),
    components: {
      schemas: SCHEMAS,
      securitySchemes: {
        cookie: {
          type: "apiKey",
          in: "cookie",
          name: "otlp-mmap-PORT",
          description: "set by the address that the collector prints; PORT is the page's",
        },
        token: { type: "http", scheme: "bearer", description: "`token` of that address" },
      },
    },
  };
}

function describe(route: Route): Schema {
  const { answer, missing, parameters, path, special, summary } = route;
  const type = special === "events" ? "text/event-stream" : "application/json";
  const errors = Object.entries({ ...ERRORS, ...(missing === undefined ? {} : { 404: missing }) });
  return {
    operationId: path.slice("/api/".length).replace(
      /[^a-zA-Z]+(\w?)/g,
      (_, next: string) => next.toUpperCase(),
    ),
    summary,
    parameters: [
      ...[...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
        name,
        in: "path",
        required: true,
        schema: TEXT,
      })),
      ...parameters.map(describeParameter),
    ],
    responses: {
      200: { description: summary, content: { [type]: { schema: answer } } },
      ...Object.fromEntries(errors.map(([status, description]) => [
        status,
        { description, content: { "application/json": { schema: ref("Error") } } },
      ])),
    },
  };
}

function describeParameter({ name, description, schema, repeatable, required }: Parameter): Schema {
  return {
    name,
    in: "query",
    description,
    required: required ?? false,
    schema: repeatable ? { type: "array", items: schema } : schema,
    ...(repeatable ? { style: "form", explode: true } : {}),
  };
}
