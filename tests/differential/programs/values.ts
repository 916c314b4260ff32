/**
 * Attribute values at the edges of what there is, and exceptions of every kind.
 *
 * @module
 */
import { type Attributes, trace } from "@opentelemetry/api";
import type { Program } from "../programs.ts";

const T = 1_700_000_000;
const tracer = () => trace.getTracer("values");

/** Values of every type and size, by name. */
export const EDGES: Record<string, unknown> = {
  nan: NaN,
  infinite: Infinity,
  "negative infinite": -Infinity,
  "negative zero": -0,
  byte: 127,
  "two bytes": 16_383,
  "three bytes": 16_384,
  int31: 2 ** 31 - 1,
  int32: 2 ** 31,
  "negative int32": -(2 ** 31),
  uint32: 2 ** 32,
  safe: Number.MAX_SAFE_INTEGER,
  "least safe": Number.MIN_SAFE_INTEGER,
  largest: Number.MAX_VALUE,
  least: Number.MIN_VALUE,
  third: 1 / 3,
  "one unit": "x",
  "38 units": "x".repeat(38),
  "39 units": "x".repeat(39),
  "128 bytes": "x".repeat(128),
  "200 bytes": "0123456789".repeat(20),
  accents: "zażółć gęślą jaźń",
  "beyond the BMP": "𝒳🚲👨‍👩‍👧",
  "zero inside": "a\0b",
  lines: "a\nb\r\nc\t",
  "half a character": "a\ud800b",
  "empty list": [],
  "mixed list": [1, "x", true, 0.5],
  "list of nothing": [null, null],
  "list with holes": [1, undefined, null, 2],
  "doubles and ints": [1, 2.5, -3, 1e300],
  "unicode list": ["é", "🚲", ""],
  "list of lists": [[1, 2], ["x"], []],
  map: { a: 1, b: "x", c: true, d: 0.5, e: null, f: undefined },
  "empty map": {},
  "deep map": { a: { b: { c: { d: [1, { e: "x" }] } } } },
  "list of maps": [{ a: 1 }, { a: 2, b: [1] }],
  bytes: new Uint8Array([0, 127, 128, 255]),
  "no bytes": new Uint8Array(0),
  null: null,
};

/** What is no attribute value. */
const INVALID: Record<string, unknown> = {
  absent: undefined,
  function: () => 1,
  symbol: Symbol("s"),
  bigint: 5n,
  date: new Date(0),
  pattern: /x/,
  error: new Error("x"),
  collection: new Map([["a", 1]]),
  "list with a symbol": [1, Symbol("s")],
  "map with a function": { a: () => 1 },
};

/** The same under keys of every kind. */
const KEYS: Attributes = {
  "": "no key",
  " ": "a blank",
  "key with blanks": 1,
  "ключ": "unicode",
  "🚲": "beyond the BMP",
  "a.b": 1,
  "A.B": 2,
  "0": "digit",
  constructor: "inherited by all objects",
  toString: "likewise",
  [`long ${"k".repeat(300)}`]: 1,
};

function values(): void {
  const at = (name: string, attributes: Record<string, unknown>) =>
    tracer().startSpan(name, { startTime: [T, 0], attributes: attributes as Attributes });
  at("edges at start", EDGES).end([T, 1]);
  at("edges later", {}).setAttributes(EDGES as Attributes).end([T, 1]);
  const single = at("edges one by one", {});
  for (const [key, value] of Object.entries(EDGES)) single.setAttribute(key, value as never);
  single.end([T, 1]);
  for (const [key, value] of Object.entries(INVALID)) {
    at(`start ${key}`, { [key]: value }).end([T, 1]);
  }
  const invalid = at("invalid later", {});
  invalid.setAttribute("kept", "before").setAttribute("kept", Symbol("s") as never);
  invalid.setAttribute("kept too", 1).setAttribute("kept too", undefined as never);
  invalid.end([T, 1]);
  at("keys", KEYS).end([T, 1]);
  at("keys later", {}).setAttributes(KEYS).end([T, 1]);
  at("changes of type", { a: 1, b: "x", c: [1] })
    .setAttributes({ a: "now text", b: 0.5, c: true })
    .setAttribute("a", [1, 2])
    .end([T, 1]);
  at("own only", Object.assign(Object.create({ inherited: 1 }), { own: 1 })).end([T, 1]);
  at("own only later", {}).setAttributes(
    Object.assign(Object.create({ inherited: 1 }), { own: 1 }),
  ).end([T, 1]);
  at("without prototype", Object.assign(Object.create(null), { a: 1 })).end([T, 1]);
  const reused: Attributes = { list: [1, 2], text: "before" };
  const span = at("changed after", reused);
  (reused.list as number[]).push(3);
  reused.text = "after";
  span.end([T, 1]);
  // Events have the simple types alone.
  const simple = Object.fromEntries(Object.entries(EDGES).filter(([, value]) => isSimple(value)));
  tracer().startSpan("on an event", { startTime: [T, 0] })
    .addEvent("edges", simple as Attributes, [T, 0])
    .addEvent("keys", KEYS, [T, 0])
    .addEvent("own only", Object.assign(Object.create({ inherited: 1 }), { own: 1 }), [T, 0])
    .end([T, 1]);
  const context = { traceId: "1".repeat(32), spanId: "2".repeat(16), traceFlags: 1 };
  const links = Object.entries(EDGES).map(([key, value]) => ({
    context,
    attributes: { [key]: value, last: true } as Attributes,
  }));
  tracer().startSpan("on links", { startTime: [T, 0], links }).end([T, 1]);
  tracer().startSpan("on late links", { startTime: [T, 0] }).addLinks([...links, { context }])
    .addLink({ context, attributes: KEYS }).end([T, 1]);
}

function isSimple(value: unknown): boolean {
  const types = new Set<string>(["string", "number", "boolean"]);
  if (!Array.isArray(value)) return types.has(typeof value);
  // Empty elements are of any type.
  const elements = value.filter((each) => each !== null && each !== undefined);
  return elements.every((each) => types.has(typeof each) && typeof each === typeof elements[0]);
}

/** Attributes of one type under one name, again and again: what a writer may remember. */
function repeated(): void {
  const all = [...Object.values(EDGES), ...Object.values(EDGES).reverse()];
  for (const [i, value] of all.entries()) {
    const attributes = { first: i, value, last: `${i % 3}` } as Attributes;
    tracer().startSpan("repeated", { startTime: [T, i], attributes })
      .setAttribute("again", value as never)
      .end([T, i + 1]);
  }
  const names = Array.from({ length: 140 }, (_, i) => [`key ${i}`, i % 2 === 0 ? i : `${i}`]);
  const wide = Object.fromEntries(names.slice(0, 128)) as Attributes;
  for (let i = 0; i < 3; i++) {
    tracer().startSpan("wide", { startTime: [T, i], attributes: wide })
      .setAttributes(wide).setAttribute("key 100", "changed").end([T, i + 1]);
  }
}

/** Keys by the hundred, so that whatever holds them has to grow. */
function manyKeys(): void {
  for (let i = 0; i < 300; i++) {
    const value = [[i], { in: i }, i, `${i}`][i % 4];
    tracer().startSpan(`key ${i}`, {
      startTime: [T, i],
      attributes: { [`key ${i}`]: value } as Attributes,
    }).setAttribute(`late key ${i}`, value as never).end([T, i + 1]);
  }
}

function exceptions(): void {
  const withStack = (error: Error): Error => Object.assign(error, { stack: `${error.name} at x` });
  class OwnError extends Error {
    override name = "OwnError";
  }
  const all: Record<string, unknown> = {
    error: withStack(new Error("boom")),
    "own class": withStack(new OwnError("mine")),
    "with a cause": withStack(new Error("outer", { cause: new Error("inner") })),
    "without a message": withStack(new RangeError("")),
    "with a code": withStack(Object.assign(new Error("not there"), { code: "ENOENT" })),
    "with a number for code": { code: 7, message: "seven" },
    "with code 0": { code: 0, name: "Zero", message: "no code" },
    text: "only text",
    "no text": "",
    "name alone": { name: "Named" },
    "stack alone": { stack: "at x" },
    nothing: {},
    unicode: { name: "Błąd", message: "źle 🚲", stack: "w\n  x" },
    long: { name: "Long", message: "m".repeat(300), stack: "s".repeat(1000) },
  };
  for (const [name, exception] of Object.entries(all)) {
    const span = tracer().startSpan(name, { startTime: [T, 0] });
    span.recordException(exception as never, [T, 1]);
    span.end([T, 2]);
  }
}

export const programs: Readonly<Record<string, Program>> = {
  values: { run: values },
  "repeated values": { run: repeated },
  "many keys": { run: manyKeys },
  exceptions: { run: exceptions },
};
