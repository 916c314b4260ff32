/**
 * Who recorded something: a resource and a scope, each stored once, and a number for the two.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { DatabaseSync } from "node:sqlite";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { InstrumentationScopeSchema, ResourceSchema } from "../../proto/gen/otlp_pb.ts";
import { addBytes, finish, START } from "./hash.ts";
import type { Block, Range } from "./parse/request.ts";
import { DECODING } from "../send/decoding.ts";

/** Finds or makes the number of a resource and scope. */
export interface Origins {
  of(bytes: Uint8Array, block: Block): number;
  serviceOf(origin: number): string;
  /** Forgets what was found: after a transaction that failed. */
  clear(): void;
}

/** Numbers that are remembered; beyond that they are looked up again. */
const MAX_REMEMBERED = 4_096;

const decoder = new TextDecoder();

/** @param db Open for writing. */
export function createOrigins(db: DatabaseSync): Origins {
  const find = {
    resource: db.prepare("SELECT id, body, schema_url FROM resources WHERE hash = ?"),
    scope: db.prepare("SELECT id, body, schema_url FROM scopes WHERE hash = ?"),
    origin: db.prepare("SELECT id FROM origins WHERE resource = ? AND scope = ?"),
    service: db.prepare(
      "SELECT service FROM origins JOIN resources ON resources.id = resource WHERE origins.id = ?",
    ),
  };
  const add = {
    resource: db.prepare(
      "INSERT INTO resources (hash, service, schema_url, body) VALUES (?, ?, ?, ?)",
    ),
    scope: db.prepare(
      "INSERT INTO scopes (hash, name, version, schema_url, body) VALUES (?, ?, ?, ?, ?)",
    ),
    origin: db.prepare("INSERT INTO origins (resource, scope) VALUES (?, ?)"),
  };
  const known = new Map<string, number>();
  const services = new Map<number, string>();

  const stored = (
    which: "resource" | "scope",
    bytes: Uint8Array,
    range: Range,
    url: string,
    columns: (body: Uint8Array) => string[],
  ): number => {
    const body = canonical(which, bytes.slice(range.from, range.to));
    const hash = finish(addBytes(START, body, 0, body.length));
    for (
      const row of find[which].all(hash) as { id: number; body: Uint8Array; schema_url: string }[]
    ) {
      if (row.schema_url === url && Buffer.compare(row.body, body) === 0) return row.id;
    }
    return Number(add[which].run(hash, ...columns(body), url, body).lastInsertRowid);
  };

  return {
    of(bytes, { resource, resourceUrl, scope, scopeUrl }) {
      const text = [resource, resourceUrl, scope, scopeUrl].map(({ from, to }) =>
        Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString("latin1")
      );
      const key = text.map((part) => `${part.length}:${part}`).join("");
      const remembered = known.get(key);
      if (remembered !== undefined) return remembered;
      const read = ({ from, to }: Range): string => decoder.decode(bytes.subarray(from, to));
      const resourceId = stored("resource", bytes, resource, read(resourceUrl), (body) => [
        serviceName(body),
      ]);
      const scopeId = stored("scope", bytes, scope, read(scopeUrl), scopeNames);
      const found = find.origin.get(resourceId, scopeId) as { id: number } | undefined;
      const id = found?.id ?? Number(add.origin.run(resourceId, scopeId).lastInsertRowid);
      if (known.size >= MAX_REMEMBERED) known.clear();
      known.set(key, id);
      return id;
    },
    serviceOf(origin) {
      let service = services.get(origin);
      if (service === undefined) {
        if (services.size >= MAX_REMEMBERED) services.clear();
        const row = find.service.get(origin) as { service: string } | undefined;
        services.set(origin, service = row?.service ?? "");
      }
      return service;
    },
    clear() {
      known.clear();
      services.clear();
    },
  };
}

/** The same however lengths and numbers were padded: what the collector itself reports pads nothing. */
function canonical(which: "resource" | "scope", body: Uint8Array): Uint8Array {
  const schema = which === "resource" ? ResourceSchema : InstrumentationScopeSchema;
  try {
    return toBinary(schema, fromBinary(schema, body, DECODING));
  } catch {
    // What can't be read is kept as it is.
    return body;
  }
}

function serviceName(body: Uint8Array): string {
  try {
    const { attributes } = fromBinary(ResourceSchema, body, DECODING);
    const name = attributes.findLast(({ key }) => key === "service.name")?.value?.value;
    return name?.case === "stringValue" ? name.value : "";
  } catch {
    // A resource that can't be read has items that can.
    return "";
  }
}

function scopeNames(body: Uint8Array): string[] {
  try {
    const { name, version } = fromBinary(InstrumentationScopeSchema, body, DECODING);
    return [name, version];
  } catch {
    return ["", ""];
  }
}
