import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { type AnyValue, EventSchema } from "../../proto/gen/mmap_pb.ts";
import { Random, seed } from "../../tests/support/random.ts";
import { DictionaryWriter } from "../dictionary/write.ts";
import { bodyWasCut, NO_KEYS, putBody } from "./body.ts";
import { caller } from "./slot.ts";
import { MAX_DEPTH } from "./value.ts";

const UNTOUCHED = 0xee;
const memory = new ArrayBuffer(17 * 1024);
const place = { u8: new Uint8Array(memory), i32: new Int32Array(memory) };
const BODY = 0x2a;
const ROOM = 16_000;

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
const keys = dictionaryOf(1 << 22);

function keyOf(ref: bigint): string {
  if (ref === 0n) return "";
  let at = Number(ref);
  let length = 0;
  for (let shift = 0;; shift += 7) {
    const byte = keys.u8[at++];
    length |= (byte & 0x7f) << shift;
    if (byte < 0x80) return new TextDecoder().decode(keys.u8.slice(at, at + length));
  }
}

/** Puts a body with `room` bytes at `at`, checks that nothing else was written, and reads it back. */
function put(body: unknown, { at = 100, room = ROOM } = {}): { value: unknown; cut: boolean } {
  place.u8.fill(UNTOUCHED);
  const end = putBody(place, at, at + room, keys.writer, BODY, body);
  assert.ok(end >= at && end <= at + room, `${at} <= ${end} <= ${at + room}`);
  for (let i = 0; i < at; i++) assert.equal(place.u8[i], UNTOUCHED, `byte ${i} before ${at}`);
  for (let i = at + room; i < place.u8.length; i++) {
    if (place.u8[i] !== UNTOUCHED) assert.fail(`byte ${i} behind ${at} + ${room} was written`);
  }
  assert.equal(caller.runs, false);
  const cut = bodyWasCut();
  if (end === at) return { value: undefined, cut };
  const message = fromBinary(EventSchema, place.u8.slice(at, end));
  assert.equal(message.$unknown, undefined);
  return { value: decoded(message.body), cut };
}

/** Integers as bigint, maps as arrays of pairs. */
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
function expected(value: unknown): unknown {
  if (value === undefined || value === null) return null;
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof value === "string") return value.toWellFormed();
  if (typeof value !== "object" || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(expected);
  return { map: Object.entries(value).map(([key, item]) => [key, expected(item)]) };
}

/** What was put, without all of what was read, is a prefix of it: nothing else was made up. */
function assertCutOf(read: unknown, whole: unknown): void {
  if (read === null || read === undefined) return;
  if (typeof read === "string") {
    assert.ok(typeof whole === "string" && whole.startsWith(read), `${read} of ${whole}`);
  } else if (read instanceof Uint8Array) {
    assert.deepEqual(read, (whole as Uint8Array).slice(0, read.length));
  } else if (Array.isArray(read)) {
    read.forEach((item, i) => assertCutOf(item, (whole as unknown[])[i]));
  } else if (typeof read === "object") {
    const { map } = read as { map: [string, unknown][] };
    const all = (whole as { map: [string, unknown][] }).map;
    map.forEach(([key, item], i) => {
      assert.equal(key, all[i][0]);
      assertCutOf(item, all[i][1]);
    });
  } else {
    assert.deepEqual(read, whole);
  }
}

const TEXTS = [
  "",
  "a",
  "plain",
  "żółć",
  "👩‍🚀 in space",
  "\ud800 alone",
  "x".repeat(500),
  "ż".repeat(300),
];

function randomValue(random: Random, depth: number): unknown {
  switch (random.below(depth >= 6 ? 9 : 13)) {
    case 0:
      return random.pick(TEXTS);
    case 1:
      return "k".repeat(random.below(60));
    case 2:
      return random.word() / 2 ** random.below(40);
    case 3:
      return random.word();
    case 4:
      return random.pick([0, -0, -1, 2 ** 53 - 1, 1 - 2 ** 53, 2 ** 53, NaN, Infinity, 1e300, 127]);
    case 5:
      return random.below(2) === 0;
    case 6:
      return random.pick([null, undefined]);
    case 7:
      return BigInt.asIntN(64, random.bits64());
    case 8:
      return Uint8Array.from({ length: random.below(40) }, () => random.below(256));
    case 9:
    case 10:
      return Array.from({ length: random.below(6) }, () => randomValue(random, depth + 1));
    default:
      return Object.fromEntries(
        Array.from(
          { length: random.below(6) },
          () => [
            random.pick(["", "key", "ключ", `k${random.below(50)}`]),
            randomValue(random, depth + 1),
          ],
        ),
      );
  }
}

describe(`bodies (OTLP_MMAP_TEST_SEED=${seed})`, () => {
  it("keep what OpenTelemetry has types for", () => {
    for (
      const value of [
        "",
        "text",
        "ascii of 23 characters.",
        "żółć",
        "a\u0000b",
        "x".repeat(383) + "ż",
        "x".repeat(5000),
        0,
        -1,
        1.5,
        NaN,
        -Infinity,
        2 ** 53,
        true,
        false,
        null,
        7n,
        -(2n ** 63n),
        Uint8Array.of(0, 255),
        [],
        [1, "a", [null, [true]], undefined],
        {},
        { a: { b: { c: [1, { d: "e" }] } }, "": 1 },
        Object.assign(Object.create(null), { x: 1 }),
      ]
    ) {
      assert.deepEqual(put(value), { value: expected(value), cut: false });
    }
  });

  it("have text at every alignment, the first time and again", () => {
    for (let at = 100; at < 104; at++) {
      for (let length = 0; length < 80; length++) {
        const text = `${at}${"abcdefghij".repeat(8)}`.slice(0, length);
        for (let again = 0; again < 3; again++) {
          assert.deepEqual(put(text, { at }), { value: text, cut: false });
        }
      }
    }
  });

  it("give everything else some form", () => {
    class Point {
      x = 1;
      y = [2];
      get sum(): number {
        return 3;
      }
    }
    const date = new Date(1.7e12);
    const cases: [unknown, unknown][] = [
      [new Point(), { map: [["x", 1n], ["y", [2n]]] }],
      [date, date.toISOString()],
      [new Date(NaN), "Invalid Date"],
      [new TypeError("bad"), "TypeError: bad"],
      [new URL("https://a.test/b"), "https://a.test/b"],
      [/x+/g, "/x+/g"],
      [Symbol("s"), "Symbol(s)"],
      [2n ** 64n, String(2n ** 64n)],
      [new Map<unknown, unknown>([["a", 1], [2, "b"], [null, 3]]), {
        map: [["a", 1n], ["2", "b"], ["null", 3n]],
      }],
      [new Set([1, "a"]), [1n, "a"]],
      [Float64Array.of(1.5, 2), [1.5, 2n]],
      [BigInt64Array.of(5n), [5n]],
      [new DataView(Uint8Array.of(1, 2, 3).buffer, 1), Uint8Array.of(2, 3)],
      [Uint8Array.of(1, 2).buffer, Uint8Array.of(1, 2)],
      [Object(5), "5"],
      [new WeakMap(), { map: [] }],
      [[new Point(), date], [{ map: [["x", 1n], ["y", [2n]]] }, date.toISOString()]],
    ];
    for (const [body, value] of cases) assert.deepEqual(put(body), { value, cut: false });
    assert.match(put(function named(): void {}).value as string, /named/);
  });

  it("end where a value is inside itself", () => {
    const body: Record<string, unknown> = { a: 1 };
    body.self = body;
    body.list = [body];
    body.twice = [body.a, body.a];
    assert.deepEqual(put(body), {
      value: { map: [["a", 1n], ["self", null], ["list", [null]], ["twice", [1n, 1n]]] },
      cut: true,
    });
    const shared = { x: 1 };
    assert.deepEqual(put([shared, shared]).cut, false);
  });

  it("end at the depth that readers follow", () => {
    let deep: unknown = "bottom";
    for (let i = 0; i < MAX_DEPTH; i++) deep = [deep];
    assert.deepEqual(put(deep), { value: deep, cut: false });
    const read = put([deep]);
    assert.equal(read.cut, true);
    let value = read.value;
    let levels = 0;
    for (; Array.isArray(value); value = value[0]) levels++;
    assert.equal(value, null);
    assert.equal(levels, MAX_DEPTH);
  });

  it("leave out what throws when read", () => {
    const hostile = {
      fine: 1,
      get bad(): never {
        throw new Error("no");
      },
      also: new Proxy({}, {
        ownKeys() {
          throw new Error("no");
        },
      }),
      text: {
        toString() {
          return "own";
        },
      },
    };
    assert.deepEqual(put(hostile), {
      value: {
        map: [["fine", 1n], ["also", null], [
          "text",
          { map: [["toString", hostile.text.toString.toString()]] },
        ]],
      },
      cut: true,
    });
    const { proxy, revoke } = Proxy.revocable([1], {});
    revoke();
    assert.deepEqual(put([proxy, 2]), { value: [null, 2n], cut: true });
    assert.deepEqual(put({ ["k".repeat(5000)]: 1, b: 2 }), {
      value: { map: [["b", 2n]] },
      cut: true,
    });
    class Endless extends Map<string, number> {
      override *entries(): MapIterator<[string, number]> {
        for (;;) yield ["", 0];
      }
      override [Symbol.iterator](): MapIterator<[string, number]> {
        return this.entries();
      }
    }
    assert.deepEqual(put(new Endless()).value, { map: [] });
    assert.equal(put(new Array(2 ** 32 - 1)).cut, true);
  });

  it("say that the dictionary is full", () => {
    const small = dictionaryOf(128);
    assert.equal(putBody(place, 0, 8000, small.writer, BODY, { ["k".repeat(100)]: 1 }), NO_KEYS);
    assert.equal(caller.runs, false);
  });

  it("are the same when read back, at random", () => {
    const random = new Random();
    let whole = 0;
    for (let i = 0; i < 4000; i++) {
      const body = randomValue(random, 0);
      const at = 100 + random.below(8);
      const { value, cut } = put(body, { at });
      if (cut) assertCutOf(value, expected(body));
      else assert.deepEqual(value, expected(body));
      if (!cut) whole++;
    }
    assert.ok(whole > 3900, `${whole} whole`);
  });

  it("are cut to any room, at random", () => {
    const random = new Random();
    let cuts = 0;
    for (let i = 0; i < 4000; i++) {
      const body = randomValue(random, 0);
      const { value, cut } = put(body, { at: 100 + random.below(8), room: random.below(300) });
      if (cut) {
        cuts++;
        assertCutOf(value, expected(body));
      } else {
        assert.deepEqual(value, expected(body));
      }
    }
    assert.ok(cuts > 100, `${cuts} cut`);
  });
});
