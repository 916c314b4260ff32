import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Value } from "../../../store/queries/types.ts";
import { cut, oneLine, visible } from "./cut.ts";
import { bytes, count, measured, percent, rate, several } from "./numbers.ts";
import { severity } from "./severity.ts";
import {
  attributeCondition,
  attributesText,
  conditionFor,
  valueText,
  valueType,
} from "./values.ts";

describe("text from elsewhere", () => {
  it("shows characters that would not show", () => {
    assert.equal(visible("a\u0000b\u001b[31m\u007f"), "a␀b␛[31m␡");
    assert.equal(
      visible("\u202egnp.exe \u200b\ufeff\u2028"),
      "\\u202egnp.exe \\u200b\\ufeff\\u2028",
    );
    assert.equal(visible("two\nlines\tand é 😀"), "two\nlines\tand é 😀");
    assert.equal(oneLine("two\r\nlines\tand\n"), "two⏎lines⇥and⏎");
  });

  it("cuts at the length, never a character in two", () => {
    assert.deepEqual(cut("abc", 3), { text: "abc", more: false });
    assert.deepEqual(cut("abcd", 3), { text: "abc", more: true });
    assert.deepEqual(cut("ab😀d", 3), { text: "ab", more: true });
  });
});

describe("values", () => {
  const values: [Value, string, string][] = [
    [{ stringValue: "x" }, "x", ""],
    [{ boolValue: false }, "false", "bool"],
    [{ intValue: "9007199254740993" }, "9007199254740993", "int"],
    [{ doubleValue: 0.5 }, "0.5", "double"],
    [{ doubleValue: "NaN" }, "NaN", "double"],
    [{ bytesValue: "AAE=" }, "base64:AAE=", "bytes"],
    [{ arrayValue: { values: [] } }, "[]", "array"],
    [
      { kvlistValue: { values: [{ key: "__proto__", value: { intValue: "1" } }] } },
      '{\n "__proto__": 1\n}',
      "map",
    ],
    [{}, "", "empty"],
  ];
  it("writes every kind of value", () => {
    for (const [value, text, type] of values) {
      assert.equal(valueText(value), text);
      assert.equal(valueType(value), type);
    }
    assert.equal(
      attributesText([{ key: "a", value: { intValue: "1" } }, { key: "b", value: {} }]),
      "a=1 b=",
    );
  });

  it("takes typed conditions as JSON where they are, as text elsewhere", () => {
    assert.equal(attributeCondition("http.route=/items"), 'http.route="/items"');
    assert.equal(attributeCondition("n = 1"), "n=1");
    assert.equal(attributeCondition('n="1"'), 'n="1"');
    assert.equal(attributeCondition("ok=true"), "ok=true");
    assert.equal(attributeCondition("a=b=c"), 'a="b=c"');
    assert.equal(attributeCondition("a="), 'a=""');
    assert.equal(attributeCondition("=a"), undefined);
    assert.equal(attributeCondition("word"), undefined);
  });

  it("finds by the same value again, where that can be asked for", () => {
    assert.equal(conditionFor({ key: "k", value: { stringValue: "1" } }), 'k="1"');
    assert.equal(conditionFor({ key: "k", value: { intValue: "1" } }), "k=1");
    assert.equal(conditionFor({ key: "k", value: { doubleValue: 1 } }), undefined);
    assert.equal(conditionFor({ key: "k", value: { doubleValue: 1.5 } }), "k=1.5");
    assert.equal(conditionFor({ key: "k", value: {} }), undefined);
  });
});

describe("numbers", () => {
  it("have units", () => {
    assert.deepEqual([0, 0.5, 999, 1234, 123_456, 2.5e6, 3e9, 0.00028].map(count), [
      "0",
      "0.5",
      "999",
      "1,234",
      "123 k",
      "2.5 M",
      "3 G",
      "2.8e-4",
    ]);
    assert.deepEqual([512, 1536, 48_300_000].map(bytes), ["512 B", "1.5 KiB", "46.1 MiB"]);
    assert.deepEqual([0, 0.0001, 0.061, 0.5, 1].map(percent), [
      "0%",
      "<0.1%",
      "6.1%",
      "50%",
      "100%",
    ]);
    assert.equal(measured(0.25, "s"), "250 ms");
    assert.equal(measured(1536, "By"), "1.5 KiB");
    assert.equal(measured(12, "{request}"), "12 request");
    assert.equal(measured(12, "{request}/s"), "12 request/s");
    assert.equal(measured(8, "/s"), "8/s");
    assert.equal(measured(NaN, "s"), "NaN");
    assert.deepEqual([0, 12, 0.1, 0.031, 0.00028].map(rate), [
      "0/s",
      "12/s",
      "0.1/s",
      "1.86/min",
      "1.01/h",
    ]);
    assert.deepEqual([several(1, "span"), several(2, "span")], ["1 span", "2 spans"]);
  });

  it("of severities are classes", () => {
    assert.deepEqual([0, 1, 4, 5, 9, 12, 13, 17, 21, 24, 99].map(severity), [
      "unset",
      "trace",
      "trace",
      "debug",
      "info",
      "info",
      "warn",
      "error",
      "fatal",
      "fatal",
      "fatal",
    ]);
  });
});
