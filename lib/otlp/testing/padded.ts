/**
 * The same message as other bytes: fields in another order, tags and lengths padded.
 *
 * @module
 */
import type { DescMessage } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import type { Random } from "../../../tests/support/random.ts";

/** `message` written anew at random. Fields of one number keep their order. */
export function padded(schema: DescMessage, message: Uint8Array, random: Random): Uint8Array {
  const reader = new BinaryReader(message);
  const byNumber = new Map<number, number[][]>();
  while (reader.pos < message.length) {
    const [number, wireType] = reader.tag();
    const start = reader.pos;
    reader.skip(wireType, number);
    let content = message.subarray(start, reader.pos);
    let length: number[] = [];
    if (wireType === WireType.LengthDelimited) {
      const inside = new BinaryReader(content).bytes();
      const field = schema.fields.find((field) => field.number === number);
      content = field?.message ? padded(field.message, inside, random) : inside;
      length = varint(content.length, random);
    }
    const bytes = [...varint(number << 3 | wireType, random), ...length, ...content];
    byNumber.set(number, [...byNumber.get(number) ?? [], bytes]);
  }
  const fields = [...byNumber.values()];
  const written: number[] = [];
  while (fields.length > 0) {
    const next = random.pick(fields);
    written.push(...next.shift()!);
    if (next.length === 0) fields.splice(fields.indexOf(next), 1);
  }
  return Uint8Array.from(written);
}

/** A varint in its shortest form, or of up to five bytes. */
function varint(value: number, random: Random): number[] {
  const bytes: number[] = [];
  for (; value > 0x7f; value >>>= 7) bytes.push(value & 0x7f | 0x80);
  bytes.push(value);
  const more = random.below(2) === 0 ? 0 : random.below(6 - bytes.length);
  for (let i = 0; i < more; i++) {
    bytes[bytes.length - 1] |= 0x80;
    bytes.push(0);
  }
  return bytes;
}
