/** Keeps PROTOCOL.md true: its tables against the code, its dump against a file written here. */
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { exactFilePath, fileName, isFileName, leftoverName } from "../lib/file/places.ts";
import * as fields from "../lib/format/fields.ts";
import * as layout from "../lib/format/layout.ts";
import { SEQUENCE_LIMIT } from "../lib/ring/write.ts";
import { file_mmap } from "../proto/gen/mmap_pb.ts";
import { dump, writeExample } from "./support/example.ts";

const text = readFileSync(new URL("../PROTOCOL.md", import.meta.url), "utf8");
const numbers = new Map(
  Object.entries(layout).filter((entry): entry is [string, number] => typeof entry[1] === "number"),
);

type Row = { [column: string]: string };

/** The rows of every table that follows `<!-- kind: prefix -->`, by prefix. */
function tables(kind: string): Map<string, Row[]> {
  const found = new Map<string, Row[]>();
  const pattern = new RegExp(`^<!-- ${kind}:? ?(\\w*) ?-->\\n\\n((?:\\|.*\\n)+)`, "gm");
  for (const [, prefix, lines] of text.matchAll(pattern)) {
    const [head, , ...rows] = lines.trim().split("\n").map((line) =>
      line.slice(1, -1).split("|").map((cell) => cell.trim())
    );
    found.set(
      prefix,
      rows.map((cells) => {
        assert.equal(cells.length, head.length, cells.join(" | "));
        return Object.fromEntries(head.map((name, i) => [name, cells[i]]));
      }),
    );
  }
  return found;
}

const offsets = tables("offsets");
const values = tables("values");

/** The constant that a name in a table stands for. */
function constantOf(prefix: string, name: string): string {
  if (prefix === "HEADER" && name === "time_unix_nano") return "HEADER_TIME";
  return prefix === "" ? name.toUpperCase() : `${prefix}_${name.toUpperCase()}`;
}

/** Bytes of a row of an offsets table; NaN for one that has no size of its own. */
function bytesOf({ unit, name }: Row): number {
  const perRing: { [name: string]: number } = {
    loss: layout.LOSS_REASONS,
    synced: 1,
    reusable: 1,
    read: layout.READ_COPIES * layout.READ_WORDS,
  };
  if (/^[iu]64 each$/.test(unit)) return 8 * layout.RING_COUNT * perRing[name];
  const [, bits, bytes] = /^(?:[iu](32|64)|(\d+) bytes|fixed64)$/.exec(unit) ?? [];
  return unit === "fixed64" ? 8 : bits === undefined ? Number(bytes) : Number(bits) / 8;
}

describe("offsets and values in PROTOCOL.md", () => {
  for (const [prefix, rows] of offsets) {
    it(`of ${prefix}`, () => {
      assert.ok(rows.length > 2);
      for (const { offset, owner, name } of rows) {
        assert.match(owner, /^(constant|writer|reader)$/);
        if (name === "-") continue;
        assert.equal(numbers.get(constantOf(prefix, name)), Number(offset), name);
      }
    });
  }

  for (const [prefix, rows] of values) {
    it(`of ${prefix || "sizes"}`, () => {
      for (const { name, value } of rows) {
        assert.equal(numbers.get(constantOf(prefix, name)), Number(value), name);
      }
    });
  }

  it("leave out none that the code has", () => {
    const named = [...offsets, ...values].flatMap(([prefix, rows]) =>
      rows.filter(({ name }) => name !== "-").map(({ name }) => constantOf(prefix, name))
    );
    assert.deepEqual(named.sort(), [...numbers.keys()].sort());
  });

  it("leave no byte of header, dictionary header and extension block without an owner", () => {
    const spans = [["HEADER", 0, 64], ["DICTIONARY", 0, 64], ["EXT", 64, 4096]] as const;
    for (const [prefix, start, end] of spans) {
      let at: number = start;
      for (const row of offsets.get(prefix)!) {
        assert.equal(Number(row.offset), at, `${prefix}: ${row.name}`);
        at += bytesOf(row);
      }
      assert.equal(at, end, prefix);
    }
  });

  it("have the words that people see", () => {
    const names = (prefix: string) => values.get(prefix)!.map(({ name }) => name);
    assert.deepEqual(names("RING"), [...layout.RING_NAMES]);
    assert.deepEqual(names("LOSS"), [...layout.LOSS_NAMES]);
    assert.deepEqual(names("REJECT"), [...layout.REJECT_NAMES]);
    assert.ok(text.includes(`ASCII \`${layout.EXT_MAGIC_TEXT}\``));
    assert.ok(text.includes(`\`0x${SEQUENCE_LIMIT.toString(16)}\``));
  });
});

describe("messages in PROTOCOL.md", () => {
  const rows = tables("fields").get("")!;
  const line = (message: string, field: string, number: number, type: string) =>
    `${message} ${field} ${number} ${type}`;

  function typeOf(field: DescField): string {
    // Numbers of descriptor.proto.
    const scalars: { [type: number]: string } = {
      1: "double",
      3: "int64",
      6: "fixed64",
      7: "fixed32",
      8: "bool",
      9: "string",
      12: "bytes",
      13: "uint32",
    };
    const one = field.message?.name ?? field.enum?.name ?? scalars[field.scalar!];
    return field.fieldKind === "list" ? `${one}*` : one;
  }

  it("are those of the .proto file", () => {
    assert.deepEqual(
      rows.map(({ message, field, number, type }) => line(message, field, Number(number), type))
        .sort(),
      file_mmap.messages.flatMap((message: DescMessage) =>
        message.fields.map((field) => line(message.name, field.name, field.number, typeOf(field)))
      ).sort(),
    );
  });

  it("have the numbers of lib/format/fields.ts", () => {
    for (const [name, value] of Object.entries(fields)) {
      if (typeof value !== "object" || name.startsWith("Otlp")) continue;
      const message = name === "Scope" ? "InstrumentationScope" : name;
      assert.deepEqual(
        rows.filter((row) => row.message === message).map(({ number }) => Number(number)).sort(),
        Object.values(value).sort(),
        message,
      );
    }
  });

  it("say which fields are ours", () => {
    for (const { message, field, number, meaning } of rows) {
      assert.equal(meaning.startsWith("ours"), Number(number) >= 500, `${message}.${field}`);
    }
  });
});

describe("names in PROTOCOL.md", () => {
  it("are those that the code makes and finds", () => {
    const name = (what: string): string => {
      const row = text.split("\n").find((line) => line.split("|")[1]?.trim() === what);
      assert.ok(row, what);
      return row.split("`")[1]
        .replace("PID", "77")
        .replace("UID8", "0a1b2c3d")
        .replace("ISOLATE", "5")
        .replace("GENERATION", "6")
        .replace("RANDOM", "x")
        .replace(/^(PATH|NAME)/, "/p/a.otlp");
    };
    const uid = "0a1b2c3d".padEnd(32, "0");
    const identity = { pid: 77, processUid: uid, isolate: 5, generation: 6 };
    const first = { ...identity, isolate: 0, generation: 0 };
    const expected: [what: string, made: string][] = [
      ["in a directory", fileName(identity)],
      ["exact path, first file of the main thread", exactFilePath("/p/a.otlp", first, false)],
      ["exact path, other threads and generations", exactFilePath("/p/a.otlp", identity, false)],
      [
        "exact path, when a living process has that name",
        exactFilePath("/p/a.otlp", identity, true),
      ],
      ["set aside", leftoverName("/p/a.otlp", uid)],
    ];
    for (const [what, made] of expected) {
      assert.equal(name(what), made);
      assert.equal(isFileName(made.slice(made.lastIndexOf("/") + 1)), true, made);
    }
    for (const what of ["lock of the reader", "being made"]) {
      assert.equal(isFileName(name(what).slice(3)), false, what);
    }
  });
});

describe("the example in PROTOCOL.md", () => {
  const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-protocol-"));
  const { sections, shown, bytes } = dump(writeExample(directory));
  rmSync(directory, { recursive: true });

  it("is what the writer writes", () => {
    const pattern = /^### Bytes: (.*)\n\n```hexdump\n([^`]*)\n```$/gm;
    const found = Object.fromEntries(
      Array.from(text.matchAll(pattern), ([, name, lines]) => [name, lines.split("\n")]),
    );
    assert.deepEqual(Object.keys(found), Object.keys(sections));
    for (const [name, lines] of Object.entries(sections)) {
      assert.deepEqual(found[name], lines, `${name}, as it is now:\n${lines.join("\n")}\n`);
    }
  });

  it("shows every byte that is not zero", () => {
    const hidden = Array.from(bytes).flatMap((byte, at) => byte !== 0 && !shown[at] ? [at] : []);
    assert.deepEqual(hidden, []);
  });
});
