import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { firstLine, plural, printable, quoted, word } from "./text.ts";

describe("text from elsewhere", () => {
  it("escapes what drives a terminal, keeps what is only unusual", () => {
    assert.equal(printable("a\x1b[31mb\x07\x9b2J\x7f"), "a\\x1b[31mb\\x07\\x9b2J\\x7f");
    assert.equal(printable("one\ntwo\r\tthree"), "one\\ntwo\\r\\tthree");
    assert.equal(
      printable("abc\u202edef\u2066\u200b\ufeff"),
      "abc\\u{202e}def\\u{2066}\\u{200b}\\u{feff}",
    );
    assert.equal(printable("\ud800x\u2028"), "\\u{d800}x\\u{2028}");
    assert.equal(printable("Grüße 日本 👩\u200d🚀"), "Grüße 日本 👩\u200d🚀");
  });

  it("cuts on a character", () => {
    assert.equal(printable("ab😀", 3), "ab…");
    assert.equal(printable("ab😀", 4), "ab😀");
  });

  it("quotes what is not one plain word", () => {
    assert.equal(word("http.route"), "http.route");
    assert.equal(word("GET /cart"), '"GET /cart"');
    assert.equal(word(""), '""');
    assert.equal(quoted('a"b\\c'), '"a\\"b\\\\c"');
  });

  it("counts things", () => {
    assert.deepEqual([0, 1, 2].map((count) => plural(count, "span")), [
      "0 spans",
      "1 span",
      "2 spans",
    ]);
    assert.equal(plural(1, "process", "processes"), "1 process");
    assert.equal(plural(2, "process", "processes"), "2 processes");
    assert.equal(plural(1000, "span", undefined, "1,000"), "1,000 spans");
  });

  it("takes the first line that says something", () => {
    assert.equal(firstLine("\r\n  \n bad \x1b[0mthing \nmore"), "bad \\x1b[0mthing");
  });
});
