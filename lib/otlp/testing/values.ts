/**
 * Random values in records, with what they must be in OTLP.
 *
 * @module
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import type { AnyValueSchema, KeyValueRefSchema } from "../../../proto/gen/mmap_pb.ts";
import type { AnyValue, KeyValue } from "../../../proto/gen/otlp_pb.ts";
import type { FileBuilder } from "../../../tests/support/build.ts";
import type { Random } from "../../../tests/support/random.ts";

/** A value as the generated code takes it. */
export type ValueInit = MessageInitShape<typeof AnyValueSchema>;
/** An attribute likewise. */
export type PairInit = MessageInitShape<typeof KeyValueRefSchema>;
/** A value in a form in which two are the same exactly when they are deeply equal. */
export type Plain = string | { list: Plain[] } | { map: [string, Plain][] };

/** A value in that form. */
export function plain(any: AnyValue | undefined): Plain {
  const held = any?.value;
  switch (held?.case) {
    case undefined:
      return "empty";
    case "arrayValue":
      return { list: held.value.values.map(plain) };
    case "kvlistValue":
      return { map: held.value.values.map((pair) => [pair.key, plain(pair.value)]) };
    case "bytesValue":
      return `bytes ${held.value.join()}`;
    case "doubleValue":
      return `double ${Object.is(held.value, -0) ? "-0" : held.value}`;
    default:
      return `${held?.case} ${held?.value}`;
  }
}

/** Attributes by key; no key may be there twice. */
export function attributes(pairs: readonly KeyValue[]): Record<string, Plain> {
  const result: Record<string, Plain> = {};
  for (const pair of pairs) {
    assert.ok(!Object.hasOwn(result, pair.key), `key ${pair.key} twice`);
    result[pair.key] = plain(pair.value);
  }
  return result;
}

/** Makes random values, and says what must become of each. */
export class RandomValues {
  readonly random: Random;
  readonly file: FileBuilder;
  constructor(random: Random, file: FileBuilder) {
    this.random = random;
    this.file = file;
  }

  /** Text of up to 6 times `max` letters. */
  text(max = 40): string {
    const letters = ["a", "b", "ü", "ł", "漢", "🚲", "-", "\n", " "];
    const length = this.random.below(10) === 0
      ? this.random.below(max * 6)
      : this.random.below(max);
    return Array.from({ length }, () => this.random.pick(letters)).join("");
  }

  /** A value for a record, and what it is in OTLP. */
  value(depth = 0): [ValueInit, Plain] {
    const { random } = this;
    switch (random.below(depth > 3 ? 7 : 10)) {
      case 0:
        return [{}, "empty"];
      case 1:
        return this.wrap("boolValue", random.below(2) === 1);
      case 2:
        return this.wrap("intValue", BigInt.asIntN(64, random.bits64()));
      case 3: {
        const value = random.pick([0, -0, NaN, Infinity, 1.5, -1e300, random.word() / 7]);
        const init: ValueInit = { value: { case: "doubleValue", value } };
        return [init, `double ${Object.is(value, -0) ? "-0" : value}`];
      }
      case 4: {
        const value = new Uint8Array(random.below(200)).map(() => random.below(256));
        return [{ value: { case: "bytesValue", value } }, `bytes ${value.join()}`];
      }
      case 7: {
        const values = Array.from({ length: random.below(5) }, () => this.value(depth + 1));
        return [
          { value: { case: "arrayValue", value: { values: values.map(([init]) => init) } } },
          { list: values.map(([, expected]) => expected) },
        ];
      }
      case 8: {
        const pairs = Array.from({ length: random.below(5) }, () => this.pair(depth + 1));
        return [
          { value: { case: "kvlistValue", value: { values: pairs.map(([init]) => init) } } },
          { map: pairs.map(([, key, expected]) => [key, expected]) },
        ];
      }
      case 9: {
        const [init, expected] = this.value(depth + 1);
        return [{ value: { case: "valueRef", value: this.file.value(init) } }, expected];
      }
      default:
        return this.wrap("stringValue", this.text());
    }
  }

  private wrap(name: string, value: unknown): [ValueInit, Plain] {
    return [{ value: { case: name, value } } as ValueInit, `${name} ${value}`];
  }

  /** An attribute: for a record, its key, its value in OTLP. */
  pair(depth = 0): [PairInit, string, Plain] {
    const key = this.random.pick(["", "a", "b", "http.method", "ключ", "k".repeat(200), "c", "d"]);
    const [value, expected] = this.value(depth);
    const keyRef = key === "" ? 0n : this.file.string(key);
    return [{ keyRef, value }, key, expected];
  }

  /** Attributes for a record; puts what they are in OTLP `into` an object. */
  pairs(into: Record<string, Plain>, max = 8): PairInit[] {
    return Array.from({ length: this.random.below(max) }, () => {
      const [init, key, expected] = this.pair();
      into[key] = expected;
      return init;
    });
  }
}
