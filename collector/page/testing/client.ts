/**
 * Asks the page of a collector, and holds its answers against its description.
 *
 * @module
 */
import assert from "node:assert/strict";
import http from "node:http";
import { Ajv2020 } from "ajv/dist/2020.js";

/** What came back. */
export interface Got {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/** A request with exactly these headers beside `Host`, and this path as it is. */
export function get(
  url: string,
  path: string,
  headers: Record<string, string> = {},
  method = "GET",
): Promise<Got> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const request = http.request(
      { host: hostname, port, path, method, headers, agent: false },
      (response) => {
        const parts: Uint8Array[] = [];
        response.on("data", (part: Uint8Array) => parts.push(part));
        response.on("error", reject);
        response.on("end", () => {
          const body = new TextDecoder().decode(joined(parts));
          resolve({ status: response.statusCode!, headers: response.headers, body });
        });
      },
    );
    request.on("error", reject);
    request.end();
  });
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** The description, as far as tests read it. */
export interface Description {
  readonly paths: Readonly<
    Record<string, {
      readonly get: {
        readonly parameters: readonly { readonly name: string; readonly in: string }[];
        readonly responses: Readonly<
          Record<
            string,
            { readonly content: Readonly<Record<string, { readonly schema: object }>> }
          >
        >;
      };
    }>
  >;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

/** Asks the API of a page, by its address with the token. */
export interface Client {
  readonly url: string;
  readonly token: string;
  readonly description: Description;
  /** Routes that were asked, as the description names them. */
  readonly asked: ReadonlySet<string>;
  /**
   * The answer, which must be what the description says of this route.
   *
   * @param route As in the description.
   * @param path What follows /api/, with the query.
   */
  ask<T>(route: string, path?: string, status?: number): Promise<T>;
}

/** @param address As the collector prints it. */
export async function createClient(address: string): Promise<Client> {
  const { origin: url, searchParams } = new URL(address);
  const token = searchParams.get("token")!;
  const headers = { authorization: `Bearer ${token}` };
  const described = await get(url, "/api/openapi.json", headers);
  assert.equal(described.status, 200, described.body);
  const description = JSON.parse(described.body) as Description;
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  ajv.addSchema({ $id: "api", components: description.components });
  const asked = new Set<string>();
  return {
    url,
    token,
    description,
    asked,
    async ask<T>(route: string, path = route, status = 200): Promise<T> {
      const got = await get(url, `/api/${path}`, headers);
      assert.equal(got.status, status, `${path}: ${got.body}`);
      const known = description.paths[`/api/${route}`];
      const query = new URLSearchParams(path.split("?")[1] ?? "");
      for (const name of status === 200 ? query.keys() : []) {
        assert(known.get.parameters.some((each) => each.name === name), `${route} has no ${name}`);
      }
      asked.add(`/api/${route}`);
      const { schema } = known.get.responses[status].content["application/json"];
      const validate = ajv.compile(
        JSON.parse(JSON.stringify(schema).replaceAll('"#/components', '"api#/components')),
      );
      const body = JSON.parse(got.body) as unknown;
      assert(
        validate(body),
        `${path}: ${ajv.errorsText(validate.errors)} in ${got.body.slice(0, 2000)}`,
      );
      return body as T;
    },
  };
}
