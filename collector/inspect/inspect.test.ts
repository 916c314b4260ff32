import assert from "node:assert/strict";
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import { gunzipSync } from "node:zlib";
import packageJson from "../../package.json" with { type: "json" };
import { lockFile, Mapping } from "../../ffi/mod.ts";
import {
  EXT_LOSS,
  EXT_READER_HEARTBEAT,
  EXT_READER_PID,
  EXT_STATE,
  RING_HEADER_BYTES,
} from "../../lib/format/layout.ts";
import { Writer } from "../../lib/writer.ts";
import { FileBuilder } from "../../tests/support/build.ts";
import { collectOnce, observe, startCollector } from "../../tests/support/collector.ts";
import { startProgram } from "../../tests/support/programs.ts";
import { Random, seed } from "../../tests/support/random.ts";
import { ownRuntime } from "../../tests/support/runtimes.ts";
import { inspect } from "./inspect.ts";
import { explainUnreadable } from "./unreadable.ts";

const root = mkdtempSync(join(tmpdir(), "otlp-mmap-inspect-"));
after(() => rmSync(root, { recursive: true }));

const RUNTIME = ownRuntime === "deno" ? "Deno" : "Bun";

let count = 0;
function newPath(): string {
  return join(root, `${++count}.otlp`);
}

/** Not being made any more. */
function settle(path: string): string {
  const past = new Date(Date.now() - 3_600_000);
  utimesSync(path, past, past);
  return path;
}

function save(change: (file: FileBuilder) => void = () => {}, size?: number): string {
  const file = new FileBuilder({ slots: 8, slotBytes: 64, padding: 4032 });
  change(file);
  const path = newPath();
  file.save(path);
  if (size !== undefined) truncateSync(path, size);
  return settle(path);
}

function vector(name: string): string {
  const path = newPath();
  const packed = new URL(`../../tests/vectors/${name}.otlp.gz`, import.meta.url);
  writeFileSync(path, gunzipSync(readFileSync(packed)));
  return path;
}

/** Runs the command to its end. */
async function run(...args: string[]): Promise<{ code: number | null; text: string }> {
  const command = observe(ownRuntime, "collector/main.ts", ["inspect", ...args]);
  const { code } = await command.ended;
  return { code, text: command.text() };
}

/** What changes with every run is replaced. */
function steady(text: string, path: string): string {
  return text.replaceAll(path, "FILE")
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME")
    .replace(/[0-9a-f]{32}/g, "UID")
    .replace(/process \d+/g, "process PID")
    .replace(/resource .*/, "resource …")
    .replace(/\d+(\.\d)? (s|min) ago/g, "AGE ago");
}

describe("inspect, of what can't be read", () => {
  const RECOVER = "save what can be saved with: otlp-mmap recover FILE";
  const CUT = "see that nothing truncates or copies it while it is written (logrotate, a full " +
    `disk), and ${RECOVER}`;
  const INTRUDER =
    "find out what writes into this file besides its owner (`lsof FILE` lists who has " +
    `it open), and ${RECOVER}`;
  const DAMAGED = `a collector skips it; ${INTRUDER}`;
  const small = new FileBuilder({ slots: 8, slotBytes: 64, padding: 4032 });
  const cases: [what: string, make: () => string, problem: string][] = [
    [
      "a path with nothing there",
      newPath,
      "there is no such file: check the path; `otlp-mmap doctor` says which directories are " +
      "looked at",
    ],
    [
      "a directory",
      () => {
        const path = newPath();
        mkdirSync(path);
        return path;
      },
      "it is a directory: name the files in it (FILE/*.otlp)",
    ],
    [
      "an empty file",
      () => save(undefined, 0),
      "it is empty, and was last written 60 min ago: its writer ended while it made it, or it is " +
      "no file of ours; remove it",
    ],
    [
      "a file of somebody else",
      () => {
        const path = newPath();
        writeFileSync(path, "#!/bin/sh\n\x1b[2J" + "x".repeat(100));
        return path;
      },
      'it is no otlp-mmap file (it begins with "#!/bin/sh"): check the path',
    ],
    [
      "a file with half a header",
      () => save(undefined, 40),
      `it was cut short, or its header is damaged (40 of at least 64 bytes): ${CUT}`,
    ],
    [
      "a file without its last ring",
      () => save(undefined, small.rings[2]),
      "it was cut short, or its header is damaged (measurements offset " +
      `${small.rings[2]} is outside the file (${small.rings[2]} bytes)): ${CUT}`,
    ],
    [
      "a file without the end of its dictionary",
      () => save((file) => file.string("a name"), small.dictionary + 66),
      `it was cut short (dictionary.end ${small.dictionary + 71} is past the end of the file (${
        small.dictionary + 66
      } bytes)): ${CUT}`,
    ],
    [
      "another version",
      () => save((file) => file.setI64(0, 3)),
      `version is 3, only 1 and 2 are understood by otlp-mmap ${packageJson.version}: the application ` +
      "has a newer one; install that for the collector, too",
    ],
    [
      "the other byte order",
      () => save((file) => file.setI64(0, 1n << 56n)),
      "version is 1 in big-endian order: files of big-endian machines cannot be read here: read " +
      "it on the machine that wrote it, with a reader for that",
    ],
    [
      "a file that nobody finished",
      () => save((file) => file.setI64(file.rings[0], 0)),
      "it was never finished (events.num_buffers is 0; last written 60 min ago): its writer ended " +
      "while it made it, before it recorded anything: remove it; or, if it was in use before, " +
      RECOVER,
    ],
    [
      "a file that is being made",
      () => {
        const path = save((file) => file.setI64(file.rings[0], 0));
        utimesSync(path, new Date(), new Date());
        return path;
      },
      "it is still being made (events.num_buffers is 0): look again in a few seconds",
    ],
    [
      "a header of zeros",
      () => {
        const writer = Writer.create(newPath(), { resource: { "service.name": "shop" } });
        const { path } = writer;
        writer.close();
        const fd = openSync(path, "r+");
        writeSync(fd, new Uint8Array(64), 0, 64, 0);
        closeSync(fd);
        return settle(path);
      },
      "its header was overwritten with zeros, and there are data behind it (with the mark of our " +
      `writer): ${INTRUDER}`,
    ],
    [
      "nothing but zeros",
      () => save((file) => file.u8.fill(0)),
      `it holds nothing but zeros (${
        (small.size / 1024).toFixed(1)
      } KiB): its writer ended before it ` +
      "wrote anything, or it is no file of ours; remove it",
    ],
    [
      "slots that are no power of two",
      () => save((file) => file.setI64(file.rings[1], 3)),
      `its header is damaged (spans.num_buffers is 3, not a power of two): ${DAMAGED}`,
    ],
    [
      "more slots than there is room for",
      () => save((file) => file.setI64(file.rings[0], 1n << 62n)),
      "its header is damaged (events.num_buffers 4611686018427387904 x buffer_size 64 do not fit " +
      `before spans at ${small.rings[1]}): ${DAMAGED}`,
    ],
    [
      "a ring in the header",
      () => save((file) => file.setI64(8, 8)),
      `its header is damaged (events offset 8 is inside the header): ${DAMAGED}`,
    ],
    [
      "a ring beyond everything",
      () => save((file) => file.setI64(16, (1n << 62n) + 8n)),
      "it was cut short, or its header is damaged (spans offset 4611686018427387912 is outside " +
      `the file (${small.size} bytes)): ${CUT}`,
    ],
    [
      "an index that ran away",
      () => save((file) => file.setI64(file.rings[1] + 24, 8)),
      "its header is damaged (spans.writer_index 8 is more than num_buffers 8 past reader_index " +
      `-1): ${DAMAGED}`,
    ],
  ];
  for (const [what, make, problem] of cases) {
    it(what, () => {
      const path = make();
      const { verdict, problems, facts } = inspect(path);
      assert.deepEqual(problems.map((text) => text.replaceAll(path, "FILE")), [problem]);
      assert.equal(verdict, "unreadable");
      assert.equal(facts, null);
    });
  }

  it("a header of zeros while its writer lives", () => {
    const writer = Writer.create(newPath(), { resource: { "service.name": "shop" } });
    const { path } = writer;
    const fd = openSync(path, "r+");
    writeSync(fd, new Uint8Array(64), 0, 64, 0);
    closeSync(fd);
    assert.match(inspect(settle(path)).problems.join(), /^its header was overwritten with zeros/);
    writer.close();
  });

  it("files that are far too large, without reading them", () => {
    const path = newPath();
    writeFileSync(path, "something else altogether");
    truncateSync(path, 2 ** 42);
    assert.deepEqual(inspect(path).problems, [
      'it is no otlp-mmap file (it begins with "something else a"): check the path',
    ]);
    const ours = save();
    truncateSync(ours, 2 ** 42);
    assert.deepEqual(inspect(ours).problems, [
      "it has 4.0 TiB, more than any writer of these files makes: something has made it longer; save " +
      `what can be saved of how it begins: head -c 256M ${ours} > copy.otlp, and then: otlp-mmap ` +
      "recover copy.otlp",
    ]);
  });

  it("a file of another user", () => {
    const may = "this user may not read it: run this as the user that the application runs as, " +
      "or as root";
    const path = save();
    chmodSync(path, 0);
    // Root reads everything.
    if (process.getuid!() === 0) assert.equal(inspect(path).verdict, "healthy");
    else assert.deepEqual(inspect(path).problems, [may]);
    assert.equal(explainUnreadable(path, Object.assign(new Error(), { code: "EACCES" })), may);
  });

  it("says so for each of several, and ends with 2", async () => {
    const [missing, wrong, healthy] = [newPath(), save(undefined, 0), save()];
    const { code, text } = await run(missing, wrong, healthy);
    assert.equal(code, 2);
    assert.deepEqual(text.split("\n\n").map((block) => block.split("\n").slice(0, 2)), [
      [
        missing,
        "  verdict     there is no such file: check the path; `otlp-mmap doctor` says which " +
        "directories are looked at",
      ],
      [
        wrong,
        "  verdict     it is empty, and was last written 60 min ago: its writer ended while it " +
        "made it, or it is no file of ours; remove it",
      ],
      [healthy, "  verdict     healthy"],
    ]);
  });

  it("looks into directories, and without a path where collect does", async () => {
    const place = newPath();
    mkdirSync(place);
    const none = { code: 0, text: `otlp-mmap: there is nothing to read in ${place}\n` };
    assert.deepEqual(await run(place), none);
    const file = join(place, "1-0-0.0.otlp");
    renameSync(save(), file);
    const first = ({ text }: { text: string }): string => text.split("\n")[0];
    assert.equal(first(await run(place)), file);
    const command = observe(ownRuntime, "collector/main.ts", ["inspect"], {
      env: { OTLP_MMAP_DIR: place },
    });
    assert.equal((await command.ended).code, 0);
    assert.equal(first({ text: command.text() }), file);
  });
});

describe("inspect, of applications", () => {
  it("describes a file while another process writes it, and when that was killed", async () => {
    const directory = join(root, "killed");
    const program = await startProgram("process.ts");
    try {
      const { path } = await program.ask<{ path: string }>({
        op: "start",
        options: { directory, resource: { "service.name": "shop", "a b": "\x1b[2J" } },
      });
      await program.ask({ op: "spans", from: 0, count: 3 });
      const before = readFileSync(path);
      const alive = await run(path);
      assert.equal(alive.code, 0);
      assert.match(alive.text, /resource .*service\.name=shop/);
      assert.match(alive.text, /"a b"="\\x1b\[2J"/);
      const table = [
        "  rings                     slots  slot bytes     size  claimed  released  in it now  torn",
        "              events        2,048       2,048  4.0 MiB        3         0          3     0",
        "              spans         8,192       1,024  8.0 MiB        9         0          9     0",
        "              measurements  4,096         512  2.0 MiB        0         0          0     0",
      ];
      const nothing = "0 refused";
      const counted = [["events", 3], ["spans", 9], ["measurements", 0]].flatMap((
        [ring, count],
      ) => [
        `${ring}: ${count} offered = ${count} claimed + ${nothing}`,
        `${count} claimed = 0 delivered + 0 torn + 0 rejected + 0 discarded + ${count} pending`,
      ]);
      const ledger = counted.map((line, i) => `  ${(i === 0 ? "ledger" : "").padEnd(12)}${line}`);
      const rest = (dictionary: string): string[] => [
        dictionary,
        "  losses      none",
        ...ledger,
        "  reader      none",
        "",
      ];
      const lines = steady(alive.text, path).split("\n");
      const dictionary = lines.find((line) => line.startsWith("  dictionary")) ?? "";
      assert.match(dictionary, /^ {2}dictionary {2}\d+ entries, \d+ of 65,472 bytes used$/);
      assert.deepEqual(lines, [
        "FILE",
        "  verdict     healthy",
        "  note        nobody reads it: 12 records wait in it for a collector",
        "  file        version 1, 14.1 MiB, made TIME",
        `  owner       process PID, alive, ${RUNTIME}, since TIME (AGE ago)`,
        "  process     UID",
        "  isolate     main thread, generation 0",
        "  file uid    UID",
        "  resource …",
        ...table,
        ...rest(dictionary),
      ]);
      assert.match(alive.text, new RegExp(`process ${program.process.pid}, alive`));
      assert.deepEqual(readFileSync(path), before, "the file was changed");
      assert.deepEqual(readdirSync(directory).length, 1);

      await program.stop("kill");
      const dead = await run(path);
      assert.equal(dead.code, 1);
      assert.deepEqual(steady(dead.text, path).split("\n").slice(0, 4), [
        "FILE",
        "  verdict     the owner died without a clean shutdown, and 12 records were not read: run " +
        "`otlp-mmap collect --once FILE` with the --endpoint they are to go to",
        "  file        version 1, 14.1 MiB, made TIME",
        `  owner       process PID, dead, ${RUNTIME}, since TIME (AGE ago)`,
      ]);

      // What it says to do helps.
      await collectOnce([path]);
      const { verdict, notes } = inspect(path);
      assert.equal(verdict, "healthy");
      assert.deepEqual(notes, [
        "the owner died without a clean shutdown, and every record was read: it may be removed",
      ]);
    } finally {
      await program.stop("kill");
    }
  });

  it("describes a file that was closed in order, and one that a collector has", async () => {
    const directory = join(root, "closed");
    const program = await startProgram("process.ts");
    const other = await startProgram("process.ts");
    const file = join(directory, "live");
    try {
      const { path } = await program.ask<{ path: string }>({ op: "start", options: { directory } });
      await program.ask({ op: "spans", from: 0, count: 1 });
      await program.ask({ op: "shutdown" });
      const closed = inspect(path);
      assert.equal(closed.verdict, "wrong");
      assert.deepEqual(closed.problems.map((text) => steady(text, path)), [
        "the owner shut down in order, and 4 records were not read: run `otlp-mmap collect --once " +
        "FILE` with the --endpoint they are to go to",
      ]);
      assert.equal(closed.facts?.owner.state, "clean");

      await other.ask({ op: "start", options: { file } });
      const collector = startCollector([file, "--print"]);
      try {
        await other.ask({ op: "spans", from: 0, count: 1 });
        assert.equal(await other.ask({ op: "flush", timeout: 20_000 }), true);
        const { verdict, facts } = inspect(file);
        assert.equal(verdict, "healthy");
        assert.equal(facts?.reader?.attached, true);
        assert.equal(facts?.reader?.pid, collector.child.pid);
        assert.ok(facts!.reader!.silentMs! < 10_000);
        assert.deepEqual(facts?.rings.map(({ inRing }) => inRing), [0, 0, 0]);
        // Looking at it took nothing from the collector.
        await other.ask({ op: "spans", from: 1, count: 1 });
        assert.equal(await other.ask({ op: "flush", timeout: 20_000 }), true);

        await collector.stop("SIGKILL");
        const killed = inspect(file);
        assert.equal(killed.verdict, "wrong");
        assert.deepEqual(killed.problems.map((text) => steady(text, file)), [
          "the collector, process PID, was killed after it last looked, AGE ago: start it again; " +
          "what it did not give back is read anew",
        ]);
      } finally {
        await collector.stop("SIGKILL");
      }
    } finally {
      await program.stop("kill");
      await other.stop("kill");
    }
  });

  it("is not misled by writer and reader that go on meanwhile", async () => {
    const file = join(root, "busy");
    const program = await startProgram("process.ts");
    const small = { slots: 64, slotBytes: 256 };
    await program.ask({ op: "start", options: { file, sizes: { spans: small, events: small } } });
    const collector = startCollector([file, "--print"]);
    try {
      let over = false;
      const recorded = program.ask({ op: "record", batches: 40, spans: 8 }).then(() => {
        over = true;
      });
      let looks = 0;
      let most = 0;
      while (!over) {
        const { facts, problems } = inspect(file);
        assert.ok(facts !== null, problems.join());
        for (const ring of facts.rings) {
          assert.ok(ring.inRing >= 0 && ring.inRing < ring.slots, `${ring.inRing} in the ring`);
          assert.ok(ring.unpublished <= 1, `${ring.unpublished} unpublished`);
          most = Math.max(most, ring.inRing);
        }
        assert.equal(facts.owner.state, "alive");
        assert.equal(facts.dictionary.damagedAt, null);
        looks++;
        await new Promise((wake) => setImmediate(wake));
      }
      await recorded;
      assert.ok(looks > 10 && most > 0, `${looks} looks, ${most} records`);
    } finally {
      await collector.stop("SIGKILL");
      await program.stop("kill");
    }
  });

  for (
    const [name, records, service, size] of [
      ["upstream-python", 77, "checkout", "1.5 MiB"],
      ["upstream-java", 100, "unknown-service", "97.3 KiB"],
    ] as const
  ) {
    it(`describes the file ${name}`, async () => {
      const path = vector(name);
      const { code, text } = await run(path);
      assert.equal(code, 1);
      const lines = steady(text, path).split("\n");
      assert.deepEqual(lines.slice(0, 4), [
        "FILE",
        `  verdict     no process writes it any more, and ${records} records were not read: run ` +
        "`otlp-mmap collect --once FILE` with the --endpoint they are to go to",
        `  file        version 1, ${size}, made TIME, by a writer without our extension block`,
        "  owner       dead",
      ]);
      assert.match(text, new RegExp(`resource .*service\\.name=${service}`));
    });
  }

  it("gives the same as JSON, an object a line", async () => {
    const [python, missing] = [vector("upstream-python"), newPath()];
    const { code, text } = await run("--json", python, missing);
    assert.equal(code, 2);
    const [first, second, ...rest] = text.split("\n");
    assert.deepEqual(rest, [""]);
    const { problems, notes, ...facts } = JSON.parse(first);
    assert.equal(problems.length, 1);
    assert.deepEqual(notes, []);
    const ring = { slots: 1024, slotBytes: 512, bytes: 528_416, released: 0, unpublished: 0 };
    const unknown = { torn: 0, delivered: null, unreadable: null };
    assert.deepEqual(facts, {
      path: python,
      verdict: "wrong",
      version: 1,
      sizeBytes: 1_586_400,
      startTimeUnixNano: facts.startTimeUnixNano,
      owner: { state: "dead", pid: null, runtime: null, startTimeUnixNano: null },
      fileUid: null,
      processUid: null,
      predecessorUid: null,
      isolate: null,
      generation: null,
      resources: [{
        "service.name": "checkout",
        "service.instance.id": "i-1",
        "host.cpu.count": 8,
        "process.args": null,
      }],
      rings: [
        { name: "events", claimed: 8, inRing: 8, ...ring, ...unknown },
        { name: "spans", claimed: 27, inRing: 27, ...ring, ...unknown },
        { name: "measurements", claimed: 42, inRing: 42, ...ring, ...unknown },
      ],
      dictionary: { entries: 32, usedBytes: 562, capacityBytes: 1024, damagedAt: null },
      losses: [],
      ledger: null,
      reader: null,
    });
    assert.match(facts.startTimeUnixNano, /^17\d{17}$/);
    assert.deepEqual(JSON.parse(second), {
      path: missing,
      verdict: "unreadable",
      problems: [
        "there is no such file: check the path; `otlp-mmap doctor` says which directories are " +
        "looked at",
      ],
      notes: [],
    });
  });
});

describe("inspect, of what is wrong inside", () => {
  /** A file whose owner is this process. */
  function withWriter(
    check: (path: string, writer: Writer, mapping: Mapping) => void,
    sizes = {},
  ): void {
    const writer = Writer.create(newPath(), { resource: { "service.name": "shop" }, ...sizes });
    const mapping = Mapping.open(writer.path);
    try {
      check(writer.path, writer, mapping);
    } finally {
      mapping.close();
      writer.close();
    }
  }

  it("names every loss, with what to do", () => {
    withWriter((path, _, { i64 }) => {
      for (let reason = 0; reason < 5; reason++) {
        i64[(EXT_LOSS >> 3) + 8 + reason] = BigInt(reason + 1);
      }
      const more = "`otlp-mmap size` says how many)";
      assert.deepEqual(inspect(path).problems, [
        "1 record of the spans ring was refused as the ring was full: keep a collector running, " +
        `or give the ring more slots (OTLP_MMAP_SPANS_SLOTS; ${more}`,
        "2 records of the spans ring were refused to leave room for the ends of open spans: keep " +
        "a collector running, or give the ring more slots " +
        `(OTLP_MMAP_SPANS_SLOTS; ${more}`,
        "3 records of the spans ring were refused as the dictionary was full: use fewer different " +
        "attribute keys, span names and instruments, or give it more room " +
        "(OTLP_MMAP_DICTIONARY_BYTES)",
        "4 records of the spans ring were refused as they could not be encoded: look for " +
        "attributes whose getters throw or that contain themselves; OTEL_LOG_LEVEL=warn has the " +
        "application say so",
        "5 records of the spans ring were cut to fit their slots: record less in one, or make " +
        "slots larger (OTLP_MMAP_SPANS_SLOT_BYTES)",
      ]);
    });
  });

  it("says when a ring is nearly full, by whether a collector is there", () => {
    const sizes = { spans: { slots: 8, slotBytes: 256 } };
    withWriter((path, writer, { i32, i64 }) => {
      const scope = writer.scope({ name: "test" });
      const span = scope.startSpan("a");
      for (let i = 0; i < 5; i++) span.setAttributes({ i });
      const full =
        "the spans ring is nearly full (6 of 8 slots), after which records are refused: ";
      assert.deepEqual(inspect(path).problems, [`${full}start \`otlp-mmap collect\``]);
      // A collector that hangs.
      const lock = lockFile(`${path}.reader`);
      assert.ok("release" in lock);
      i32[EXT_READER_PID >> 2] = process.pid;
      i64[EXT_READER_HEARTBEAT >> 3] = BigInt(Date.now() - 42_000) * 1_000_000n;
      assert.deepEqual(inspect(path).problems, [
        `the collector, process ${process.pid}, holds this file and has not looked at it for 42 ` +
        "s: it is stopped or hangs; end it and start another",
        `${full}the collector does not keep up, or its backend does not; see what it says, and ` +
        "`otlp-mmap size` for larger rings",
      ]);
      lock.release();
    }, sizes);
  });

  it("counts torn records, and unreadable ones", () => {
    const path = save((file) => {
      const scope = file.simpleScope("s");
      file.simpleSpan(scope, 1);
      file.put(1, new Uint8Array(4), { publish: false });
    });
    const { facts, notes } = inspect(path);
    assert.deepEqual(facts?.rings[1], {
      name: "spans",
      slots: 8,
      slotBytes: 64,
      bytes: RING_HEADER_BYTES + 8 * 68,
      claimed: 3,
      released: 0,
      inRing: 3,
      unpublished: 1,
    });
    assert.deepEqual(notes, [
      "1 record of the spans ring was being written when the owner died, and can't be read",
    ]);
  });

  it("finds where a dictionary is damaged", () => {
    const path = save((file) => {
      file.simpleScope("s");
      const ref = Number(file.string("damaged"));
      file.u8[ref] = 0x7f;
    });
    const { facts, problems } = inspect(path);
    assert.equal(facts?.dictionary.entries, 4);
    assert.deepEqual(problems, [
      `the dictionary is damaged at byte ${facts?.dictionary.damagedAt}, behind 4 entries: ` +
      "records that refer to what follows can't be read; save the others with: otlp-mmap recover " +
      path,
    ]);
  });

  it("takes a state that means nothing for what it is", () => {
    withWriter((path, writer, { i32 }) => {
      i32[EXT_STATE >> 2] = 7;
      const { notes, facts } = inspect(path);
      assert.equal(facts?.owner.state, "unknown");
      assert.deepEqual(notes, [
        "whether its owner lives is not known: its state is 7, which means nothing",
      ]);
      writer.scope({ name: "test" }).startSpan("a");
      assert.deepEqual(inspect(path).notes, [
        `whether its owner lives is not known: its state is 7, which means nothing; if process ${process.pid} ` +
        `is over, save what is in it with: otlp-mmap recover ${path}`,
      ]);
      i32[EXT_STATE >> 2] = 0;
    });
  });

  it("survives every file whose bytes are random behind the version", () => {
    const { size } = statSync(save());
    const random = new Random();
    const path = save();
    const good = readFileSync(path);
    for (let turn = 0; turn < 300; turn++) {
      const bad = new Uint8Array(good);
      for (let i = 0; i < 1 + random.below(8); i++) {
        bad[random.below(random.below(2) === 0 ? 64 : size)] = random.below(256);
      }
      writeFileSync(path, bad);
      const { verdict, problems } = inspect(path);
      assert.equal(verdict === "healthy", problems.length === 0, `seed ${seed}`);
    }
  });
});
