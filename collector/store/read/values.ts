/**
 * Values of attributes as answers have them, and compared.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { create, fromJson, type JsonValue, toBinary, toJson } from "@bufbuild/protobuf";
import {
  type AnyValue,
  AnyValueSchema,
  type KeyValue,
  KeyValueSchema,
} from "../../../proto/gen/otlp_pb.ts";
import { DECODING } from "../../send/decoding.ts";
import { hashAttribute } from "../hash.ts";
import {
  type Attribute,
  type AttributeFilter,
  InvalidQuery,
  type Value,
} from "../queries/types.ts";

/** A value as OTLP/JSON writes it. */
export function toValue(value: AnyValue | undefined): Value {
  return value === undefined
    ? {}
    : toJson(AnyValueSchema, value, { alwaysEmitImplicit: true }) as Value;
}

/** Attributes as OTLP/JSON writes them. */
export function toAttributes(attributes: readonly KeyValue[]): Attribute[] {
  return attributes.map(({ key, value }) => ({ key, value: toValue(value) }));
}

/** An attribute that is looked for. */
export interface Wanted {
  readonly key: string;
  /** What it is found by. */
  readonly hash: number;
  /** What it has to be the same as. */
  readonly bytes: string;
}

/** @throws InvalidQuery when the value is none. */
export function toWanted({ key, value }: AttributeFilter): Wanted {
  let any: AnyValue;
  try {
    any = fromJson(AnyValueSchema, value as JsonValue, DECODING);
  } catch (error) {
    throw new InvalidQuery(
      `the value of the attribute ${key} is none: ${(error as Error).message}`,
    );
  }
  const pair = toBinary(KeyValueSchema, create(KeyValueSchema, { key, value: any }));
  return { key, hash: hashAttribute(pair, 0, pair.length), bytes: bytesOf(any) };
}

/** Is it among these? */
export function isAmong(wanted: Wanted, attributes: readonly Attribute[]): boolean {
  return attributes.some(({ key, value }) =>
    key === wanted.key && bytesOf(fromJson(AnyValueSchema, value as JsonValue)) === wanted.bytes
  );
}

function bytesOf(value: AnyValue): string {
  return Buffer.from(toBinary(AnyValueSchema, value)).toString("latin1");
}
