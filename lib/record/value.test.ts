import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import {
  type AnyValue,
  type KeyValueRef,
  UpdateAttributesSchema,
} from "../../proto/gen/mmap_pb.ts";
import { Random, seed } from "../../tests/support/random.ts";
import { DictionaryWriter } from "../dictionary/write.ts";
import { BYTES, tag, UpdateAttributes } from "../format/fields.ts";
import { MAX_SLOT_BYTES, SPAN_EVENT_BODY } from "../format/layout.ts";
import {
  ABSENT,
  aim,
  endOfPut,
  INVALID,
  MAX_DEPTH,
  NO_KEY,
  NO_ROOM,
  OK,
  putCutStringField,
  putKeyValue,
  wasCut,
} from "./value.ts";
import { Shape } from "./shape.ts";

const ATTRIBUTE = tag(UpdateAttributes.attributes, BYTES);
/** The most that a record can offer: the largest slot, without the heads around an attribute. */
const LARGEST_ROOM = MAX_SLOT_BYTES - SPAN_EVENT_BODY - 3;
/** What must still be in every byte that is not ours. */
const UNTOUCHED = 0xee;

const memory = new ArrayBuffer(17 * 1024);
const place = { u8: new Uint8Array(memory), i32: new Int32Array(memory) };

/** A dictionary of `bytes` bytes, all of them there from the start. */
function dictionaryOf(bytes: number): { writer: DictionaryWriter; u8: Uint8Array } {
  const buffer = new ArrayBuffer(bytes);
  const u8 = new Uint8Array(buffer);
  const i64 = new BigInt64Array(buffer);
  i64[0] = 64n;
  const grow = (): void => {
    throw new Error("no longer");
  };
  const file = { u8, i32: new Int32Array(buffer), i64, buffer, size: bytes, grow };
  return { writer: new DictionaryWriter(file, 0, "one"), u8 };
}
const keys = dictionaryOf(1 << 20);

/** A string entry of the dictionary. */
function keyOf(ref: bigint): string {
  let at = Number(ref);
  let length = 0;
  for (let shift = 0;; shift += 7) {
    const byte = keys.u8[at++];
    length |= (byte & 0x7f) << shift;
    if (byte < 0x80) return new TextDecoder().decode(keys.u8.slice(at, at + length));
  }
}

/** Puts an attribute as one of a shape: of one without any keys, unless a test asks for more. */
function putAttribute(
  at: number,
  ref: number,
  value: unknown,
  cut: boolean,
  shape: Shape = new Shape(""),
  position = -1,
): number {
  return putKeyValue(at, ATTRIBUTE, ref, value, cut, shape, position);
}

/**
 * Puts `value` at `at` with `room` bytes and checks that nothing outside of them was written.
 * Returns the result, and with OK the attribute as the generated code reads it.
 */
function put(
  value: unknown,
  { at = 100, room = LARGEST_ROOM, cut = false, units = Infinity, ref = 64 } = {},
): { result: number; attribute?: KeyValueRef; end: number } {
  place.u8.fill(UNTOUCHED);
  aim(place, at + room, keys.writer, units);
  const result = putAttribute(at, ref, value, cut);
  const end = endOfPut();
  for (let i = 0; i < at; i++) assert.equal(place.u8[i], UNTOUCHED, `byte ${i} before ${at}`);
  for (let i = at + room; i < place.u8.length; i++) {
    if (place.u8[i] !== UNTOUCHED) assert.fail(`byte ${i} behind ${at} + ${room} was written`);
  }
  if (result !== OK) return { result, end: at };
  assert(end > at && end <= at + room, `${at} < ${end} <= ${at + room}`);
  const message = fromBinary(UpdateAttributesSchema, place.u8.slice(at, end));
  assert.equal(message.attributes.length, 1);
  assert.equal(message.$unknown, undefined);
  const [attribute] = message.attributes;
  assert.equal(attribute.keyRef, BigInt(ref));
  assert.equal(attribute.$unknown, undefined);
  return { result, attribute, end };
}

/** A decoded value as it was meant: integers as bigint, maps as arrays of pairs. */
function decoded(any: AnyValue | undefined): unknown {
  assert(any !== undefined);
  assert.equal(any.$unknown, undefined);
  const { value } = any;
  switch (value.case) {
    case undefined:
      return null;
    case "arrayValue":
      return value.value.values.map(decoded);
    case "kvlistValue":
      return {
        map: value.value.values.map((entry) => [keyOf(entry.keyRef), decoded(entry.value)]),
      };
    default:
      return value.value;
  }
}

/** The same of a value that is put. */
function meant(value: unknown): unknown {
  if (typeof value === "string") return value.toWellFormed();
  if (Number.isSafeInteger(value)) return BigInt(value as number);
  if (Array.isArray(value)) return value.map((item) => meant(item ?? null));
  if (typeof value === "object" && value !== null && !(value instanceof Uint8Array)) {
    const entries = Object.entries(value).filter(([key, item]) => key !== "" && item !== undefined);
    return { map: entries.map(([key, item]) => [key, meant(item)]) };
  }
  return value;
}

/** Is `got` what is left of `whole` when ends inside of it are cut off? */
function isCutOf(got: unknown, whole: unknown): boolean {
  if (typeof got === "string") return (whole as string).startsWith(got);
  if (got instanceof Uint8Array) return got.every((byte, i) => byte === (whole as Uint8Array)[i]);
  if (Array.isArray(got)) return got.every((item, i) => isCutOf(item, (whole as unknown[])[i]));
  if (typeof got !== "object" || got === null) return got === whole;
  return isCutOf((got as { map: unknown }).map, (whole as { map: unknown }).map);
}

/** Is there an empty value inside of `levels` arrays and maps with one item each? */
function isEmptyAt(value: unknown, levels: number): boolean {
  if (levels === 0 || value === null) return levels === 0 && value === null;
  if (Array.isArray(value)) return isEmptyAt(value[0], levels - 1);
  return isEmptyAt((value as { map: [string, unknown][] }).map[0][1], levels - 1);
}

function checkRoundTrip(value: unknown, options?: Parameters<typeof put>[1]): void {
  const { result, attribute } = put(value, options);
  assert.equal(result, OK);
  assert.deepEqual(decoded(attribute!.value), meant(value));
}

// Code points at both ends of every UTF-8 width, and of what lies around the surrogates.
const CODE_POINTS = [
  0,
  0x7f,
  0x80,
  0x7ff,
  0x800,
  0xd7ff,
  0xe000,
  0xfffd,
  0xffff,
  0x10000,
  0x10ffff,
];

describe(`values (seed ${seed})`, () => {
  const random = new Random();

  function text(units: number): string {
    let result = "";
    while (result.length < units) {
      const kind = random.below(12);
      if (kind < 6) result += String.fromCharCode(0x20 + random.below(0x5f));
      else if (kind < 10) result += String.fromCodePoint(random.pick(CODE_POINTS));
      else if (kind === 10) result += String.fromCharCode(0xd800 + random.below(0x800));
      else result += String.fromCodePoint(0x10000 + random.below(0x100000));
    }
    return result.slice(0, units);
  }

  function number(): number {
    const kind = random.below(4);
    if (kind === 0) return random.word();
    const whole = Number(random.bits64()) * random.pick([1, -1]);
    if (kind === 1) return whole;
    if (kind === 2) return whole / 1000;
    return random.pick([0, -0, NaN, Infinity, -Infinity, 5e-324, Number.MAX_VALUE, 0.1, -1]);
  }

  function anything(depth: number): unknown {
    switch (random.below(depth < 4 ? 10 : 7)) {
      case 0:
        return null;
      case 1:
        return random.below(2) === 0;
      case 2:
      case 3:
        return number();
      case 4:
        return BigInt.asIntN(64, random.bits64() * random.pick([1n, -1n]));
      case 5:
        return text(random.below(60));
      case 6:
        return Uint8Array.from({ length: random.below(40) }, () => random.below(256));
      case 7:
        return Array.from({ length: random.below(6) }, () => anything(depth + 1));
      case 8:
        return [undefined, anything(depth + 1)];
      default:
        return Object.fromEntries(
          Array.from({ length: random.below(5) }, (_, i) => [
            random.pick(["", `key${i}`, `ключ${i}`, "a".repeat(130)]),
            random.pick([undefined, anything(depth + 1)]),
          ]),
        );
    }
  }

  it("are read by generated code as they were meant", () => {
    for (let i = 0; i < 3000; i++) {
      checkRoundTrip(anything(0), { at: 100 + (i & 3), cut: i % 2 === 0 });
    }
  });

  it("of text are right at every length around a boundary, at every alignment", () => {
    const lengths = [
      0,
      1,
      2,
      3,
      4,
      5,
      23,
      24,
      25,
      37,
      38,
      39,
      40,
      41,
      42,
      126,
      127,
      128,
      129,
      4096,
    ];
    for (const length of lengths) {
      for (let align = 0; align < 4; align++) {
        const at = 100 + align;
        checkRoundTrip("x".repeat(length), { at });
        for (const point of CODE_POINTS) {
          const character = String.fromCodePoint(point);
          checkRoundTrip(character.repeat(length).slice(0, length), { at });
          checkRoundTrip("x".repeat(length) + character, { at });
          checkRoundTrip(character + "x".repeat(length), { at });
        }
      }
    }
  });

  it("of text fill the largest slot to its last byte", () => {
    const most = LARGEST_ROOM - 14;
    for (let length = most - 3; length <= most; length++) checkRoundTrip("x".repeat(length));
    assert.equal(put("x".repeat(most)).end, 100 + LARGEST_ROOM);
    assert.equal(put("x".repeat(most + 1)).result, NO_ROOM);
    checkRoundTrip("é" + "x".repeat(most - 2));
    assert.equal(put("x".repeat(most - 1) + "é").result, NO_ROOM);
    const { attribute } = put("x".repeat(2 * most), { cut: true });
    assert.equal(decoded(attribute!.value), "x".repeat(most));
  });

  it("of lone surrogates become U+FFFD", () => {
    for (const lone of ["\ud800", "\udfff", "a\udbff", "\udc00a", "\ud800\ud800", "\udc00\ud800"]) {
      for (const rest of ["", "x".repeat(30), "x".repeat(50)]) {
        checkRoundTrip(lone + rest);
        checkRoundTrip(rest + lone);
      }
    }
  });

  it("of numbers are right at every varint width", () => {
    for (let bits = 0; bits <= 64; bits++) {
      for (const nudge of [-1n, 0n, 1n]) {
        for (const sign of [1n, -1n]) {
          const value = ((1n << BigInt(bits)) + nudge) * sign;
          if (BigInt.asIntN(64, value) === value) {
            checkRoundTrip(value);
            checkRoundTrip([value]);
          }
          // Beyond 2^53 a number is a double.
          for (let align = 0; align < 4; align++) {
            checkRoundTrip(Number(value), { at: 100 + align });
          }
          checkRoundTrip([Number(value)]);
        }
      }
    }
    checkRoundTrip(Number.MAX_SAFE_INTEGER);
    checkRoundTrip(Number.MIN_SAFE_INTEGER);
    assert.equal(decoded(put(-0).attribute!.value), 0n);
  });

  it("carry every ref up to 2^28", () => {
    for (let bits = 6; bits < 28; bits++) {
      for (const ref of [1 << bits, (2 << bits) - 1]) {
        for (const value of ["short", "x".repeat(100), 1, 1e300, -1, true, null]) {
          for (let align = 0; align < 4; align++) checkRoundTrip(value, { ref, at: 100 + align });
        }
      }
    }
  });

  it("end with the room, whatever it is", () => {
    for (const value of ["abc", "x".repeat(38), "é".repeat(20), 1, 300, -1, 0.5, true, 5n, null]) {
      for (let align = 0; align < 4; align++) {
        let fits = false;
        for (let room = 0; room <= 150; room++) {
          const { result, attribute } = put(value, { at: 100 + align, room });
          if (fits) assert.equal(result, OK, `${value} in ${room} bytes`);
          assert(result === OK || result === NO_ROOM);
          fits = result === OK;
          if (fits) assert.deepEqual(decoded(attribute!.value), meant(value));
        }
        assert(fits);
      }
    }
  });

  it("of text are cut on a code point at every room", () => {
    const texts = [
      "plain ascii text that goes on for a while, longer than any fast path",
      "äöü",
      CODE_POINTS.map((point) => String.fromCodePoint(point)).join("").repeat(6),
      "𝄞".repeat(20),
      "a€".repeat(30),
      text(100),
    ];
    const utf8 = new TextEncoder();
    for (const value of texts) {
      const points = [...value.toWellFormed()];
      const bytes = utf8.encode(value).length;
      let last = -1;
      for (let room = 0; room <= bytes + 20; room++) {
        const { result, attribute, end } = put(value, { room, cut: true });
        if (result === NO_ROOM) {
          assert(room < 14 && last < 0, `nothing fits in ${room} bytes`);
          continue;
        }
        assert.equal(result, OK);
        const kept = decoded(attribute!.value) as string;
        const count = [...kept].length;
        assert.equal(kept, points.slice(0, count).join(""));
        assert.equal(wasCut(), count < points.length);
        assert(count >= last, "more room holds no less");
        last = count;
        if (wasCut()) {
          const next = utf8.encode(points[count]).length;
          assert(100 + room - end < next, `${points[count]} would have fitted`);
        }
        // Without leave to cut it is all or nothing.
        assert.equal(put(value, { room }).result, count < points.length ? NO_ROOM : OK);
      }
      assert.equal(last, points.length);
    }
  });

  it("of bytes, arrays and maps are cut to what fits", () => {
    const values = [
      Uint8Array.from({ length: 90 }, (_, i) => i),
      ["one", 2, [3, "four"], "five".repeat(10), null, 6],
      { a: "one", b: { c: 2, d: "three".repeat(5) }, e: [4, 5, 6], f: null },
    ];
    for (const value of values) {
      for (let room = 0; room <= 250; room++) {
        const { result, attribute } = put(value, { room, cut: true });
        const whole = put(value, { room }).result;
        if (result === NO_ROOM) {
          assert.equal(whole, NO_ROOM);
          continue;
        }
        assert.equal(result, OK);
        put(value, { room, cut: true });
        assert.equal(wasCut(), whole === NO_ROOM, `in ${room} bytes`);
        const got = decoded(attribute!.value);
        if (whole === OK) assert.deepEqual(got, meant(value));
        else assert(isCutOf(got, meant(value)), `in ${room} bytes`);
      }
      assert.equal(put(value, { room: 250 }).result, OK);
    }
  });

  it("keep to the limit of their length", () => {
    const cut = (value: unknown, units: number): unknown =>
      decoded(put(value, { units }).attribute!.value);
    assert.equal(cut("abcdef", 3), "abc");
    assert.equal(cut("abc", 3), "abc");
    assert.equal(cut("abc", 0), "");
    assert.equal(cut("a𝄞b", 2), "a");
    assert.equal(cut("a𝄞b", 3), "a𝄞");
    assert.equal(cut("x".repeat(100), 50), "x".repeat(50));
    assert.deepEqual(cut(["abcdef", "ab"], 3), ["abc", "ab"]);
    assert.deepEqual(cut({ k: "abcdef" }, 3), { map: [["k", "abc"]] });
    assert.deepEqual(cut(Uint8Array.of(1, 2, 3), 2), Uint8Array.of(1, 2));
    assert.equal(cut(123_456, 3), 123_456n);
  });

  it("end at the depth that readers follow, and where one is inside itself", () => {
    let deep: unknown = "bottom";
    for (let i = 0; i < MAX_DEPTH; i++) deep = i % 2 === 0 ? [deep] : { deep };
    checkRoundTrip(deep);
    assert.equal(wasCut(), false);
    const { result, attribute } = put([deep]);
    assert.deepEqual([result, wasCut()], [OK, true]);
    assert.ok(isEmptyAt(decoded(attribute!.value), MAX_DEPTH));
    const cycle: Record<string, unknown> = { a: 1 };
    cycle.self = cycle;
    cycle.list = [cycle, 2];
    const read = put(cycle);
    assert.deepEqual([read.result, wasCut()], [OK, true]);
    assert.deepEqual(decoded(read.attribute!.value), {
      map: [["a", 1n], ["self", null], ["list", [null, 2n]]],
    });
    const shared = { x: 1 };
    checkRoundTrip([shared, shared]);
    assert.equal(wasCut(), false);
  });

  it("that are none are refused, and nothing is thrown", () => {
    const throwing = {
      get a(): number {
        throw new Error("no");
      },
    };
    const proxy = new Proxy({}, {
      ownKeys: () => {
        throw new Error("no");
      },
    });
    const none = [
      () => 1,
      Symbol("s"),
      new Date(),
      new Map(),
      /x/,
      2n ** 63n,
      -(2n ** 63n) - 1n,
      throwing,
      proxy,
    ];
    for (const value of none) {
      assert.equal(put(value).result, INVALID, `${typeof value}`);
      assert.equal(put([1, value]).result, INVALID, `${typeof value} in an array`);
    }
    assert.equal(put(undefined).result, ABSENT);
  });

  it("whose keys find no room are refused", () => {
    const small = dictionaryOf(104);
    aim(place, LARGEST_ROOM, small.writer, Infinity);
    assert.equal(putAttribute(100, 64, { "a key": 1 }, true), OK);
    assert.equal(putAttribute(100, 64, { ["k".repeat(90)]: 1 }, true), NO_KEY);
  });

  it("follow each other without a gap", () => {
    for (let round = 0; round < 200; round++) {
      place.u8.fill(UNTOUCHED);
      aim(place, LARGEST_ROOM, keys.writer, Infinity);
      const values: unknown[] = [];
      let at = 100 + (round & 3);
      const start = at;
      for (let i = 0; i < 20; i++) {
        const value = anything(2);
        values.push(value);
        assert.equal(putAttribute(at, 64, value, false), OK);
        at = endOfPut();
      }
      const message = fromBinary(UpdateAttributesSchema, place.u8.slice(start, at));
      assert.deepEqual(
        message.attributes.map(({ value }) => decoded(value)),
        values.map(meant),
      );
    }
  });
});

describe("a shape", () => {
  it("gives back the text last seen under a key, and no other", () => {
    const shape = new Shape("");
    const position = shape.find("key");
    const texts = ["", "a", "abc", "abcd", "abcde", "x".repeat(38), "é€𝄞", "abcé", "x".repeat(39)];
    for (const text of [...texts, ...texts.toReversed()]) {
      // The first time it is remembered, the second time prepared, then it is used.
      for (let time = 0; time < 6; time++) {
        const at = 100 + (time & 3);
        place.u8.fill(UNTOUCHED);
        aim(place, LARGEST_ROOM, keys.writer, Infinity);
        assert.equal(putAttribute(at, 64, text, false, shape, position), OK);
        const { attributes } = fromBinary(
          UpdateAttributesSchema,
          place.u8.slice(at, endOfPut()),
        );
        assert.deepEqual(attributes.map(({ value }) => decoded(value)), [text]);
      }
    }
  });
});

describe("putCutStringField", () => {
  it("writes what fits, with a length of two bytes", () => {
    aim(place, 110, keys.writer, Infinity);
    assert.equal(putCutStringField(100, 0x2a, "äbcdefgh"), OK);
    assert.equal(endOfPut(), 110);
    assert.deepEqual(
      [...place.u8.slice(100, 110)],
      [0x2a, 0x87, 0, ...new TextEncoder().encode("äbcdef")],
    );
    assert.equal(wasCut(), true);
    aim(place, 102, keys.writer, Infinity);
    assert.equal(putCutStringField(100, 0x2a, "a"), NO_ROOM);
  });
});
