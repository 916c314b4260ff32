/**
 * A reader is killed right after each of its steps that another process can see: the next one goes on
 * without a loss, and takes again what support/kill-table.ts says, but counts it once.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Mapping } from "../ffi/mod.ts";
import { readGeometry } from "../lib/file/geometry.ts";
import { closes, type RingLedger } from "../lib/file/ledger.ts";
import { RING_EVENTS } from "../lib/format/layout.ts";
import { Reader } from "../lib/reader.ts";
import { ROOT } from "../tools/runtimes.ts";
import { startSink } from "./peers/sink.ts";
import { metricsReceivedBy, plainAttributes, receivedBy } from "./support/collector.ts";
import { afterDeath } from "./support/death.ts";
import {
  COLLECTOR_TABLE,
  groupSteps,
  READER_TABLE,
  SHARING_READER_TABLE,
} from "./support/kill-table.ts";
import { hex } from "./support/records.ts";
import { commandLineOf, ownRuntime, plainEnvironment } from "./support/runtimes.ts";

const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-kill-readers-"));
after(() => rmSync(directory, { recursive: true }));

/** A file of a dead writer: its log record can't be read, its last span record is torn. */
const original = join(directory, "original");
/** Another: its writer has discarded its first log record, and nothing is wrong with it. */
const discarding = join(directory, "discarding");
let copies = 0;

function newCopy(from = original): string {
  const path = join(directory, `copy-${copies++}`);
  copyFileSync(from, path);
  return path;
}

interface Ended {
  readonly text: string;
  readonly killed: boolean;
}

/** Runs a program; it must end with 0 or by SIGKILL. */
async function run(
  file: string,
  args: readonly string[],
  flags: readonly string[] = [],
  env: Record<string, string> = {},
): Promise<Ended> {
  const [command, ...rest] = commandLineOf(ownRuntime, join(ROOT, file), args, flags);
  const child = spawn(command, rest, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...plainEnvironment(), ...env },
  });
  let text = "";
  let errors = "";
  child.stdout.setEncoding("utf8").on("data", (piece: string) => text += piece);
  child.stderr.setEncoding("utf8").on("data", (piece: string) => errors += piece);
  const [code, signal] = await once(child, "close");
  const killed = signal === "SIGKILL" || code === 137;
  assert.ok(killed || code === 0, `${file} ${args}: ${code} ${signal} ${errors}`);
  return { text, killed };
}

/** What the file must say once everything was read, however often that was tried. */
function checkLedger(ledgers: readonly RingLedger[]): void {
  const none = { length: 0, malformed: 0, ref: 0, limit: 0, fault: 0 };
  const expected = [
    { ring: "events", claimed: 1, delivered: 0, torn: 0, rejected: { ...none, length: 1 } },
    { ring: "spans", claimed: 4, delivered: 3, torn: 1, rejected: none },
    { ring: "measurements", claimed: 1, delivered: 1, torn: 0, rejected: none },
  ];
  ledgers.forEach((ledger, i) => {
    const { ring, claimed, delivered, torn, rejected, pending } = ledger;
    assert.deepEqual({ ring, claimed, delivered, torn, rejected }, expected[i]);
    assert.equal(pending, 0);
    assert.ok(closes(ledger), JSON.stringify(ledger));
  });
}

before(async () => {
  const program = "tests/testdata/killed-writer.ts";
  const trace = await run(program, [join(directory, "trace"), "span start", "0"]);
  const step = (JSON.parse(trace.text) as string[]).indexOf("writer_index") + 1;
  assert.ok((await run(program, [original, "span start", `${step}`])).killed);
  const mapping = Mapping.open(original);
  const geometry = readGeometry(original, mapping.u8, mapping.size);
  assert.ok("rings" in geometry);
  mapping.u8[geometry.rings[RING_EVENTS].firstSlot] = 0;
  mapping.close();
  const steps = await run(program, [join(directory, "trace 2"), "log that discards", "0"]);
  const last = (JSON.parse(steps.text) as string[]).length;
  assert.ok((await run(program, [discarding, "log that discards", `${last}`])).killed);
});

/** What is read, by whom, and what the file must say in the end. */
const READERS = [
  { name: "", from: () => original, table: READER_TABLE, records: 5, check: checkLedger },
  {
    name: ", of a file whose writer discards the oldest",
    from: () => discarding,
    table: SHARING_READER_TABLE,
    records: 19,
    check: checkDiscarding,
  },
];

function checkDiscarding(ledgers: readonly RingLedger[]): void {
  const numbers = ledgers.map(({ claimed, delivered, discarded, pending }) => [
    claimed,
    delivered,
    discarded,
    pending,
  ]);
  assert.deepEqual(numbers, [[16, 15, 1, 0], [3, 3, 0, 0], [1, 1, 0, 0]]);
  for (const ledger of ledgers) assert.ok(closes(ledger), JSON.stringify(ledger));
}

describe("a reader that is killed after any of its steps", () => {
  for (const { name, from, table, records, check } of READERS) {
    it(`leaves everything that it has not given back to the next one${name}`, {
      timeout: 300_000,
    }, async () => {
      const program = "tests/testdata/killed-reader.ts";
      const whole = newCopy(from());
      const [placesLine, namesLine] = (await run(program, [whole, "0"])).text.split("\n");
      const groups = groupSteps(JSON.parse(namesLine) as string[]);
      assert.deepEqual(groups.map(({ name }) => name), table.map(([name]) => name));
      const all = JSON.parse(placesLine) as string[];
      assert.equal(all.length, records);
      for (const [i, { first, last }] of groups.entries()) {
        // Looks at reader_index after each copy are all the same.
        const steps = groups[i].name === "reader_index" ? [first, last] : range(first, last);
        for (const step of new Set(steps)) {
          const path = newCopy(from());
          const { killed, text } = await run(program, [path, `${step}`]);
          const message = `killed after step ${step}, ${groups[i].name}`;
          assert.ok(killed, message);
          const taken = text === "" ? [] : JSON.parse(text) as string[];
          const next = Reader.open(path);
          assert.equal(await afterDeath(next), "dead");
          const rest = next.poll().map(({ ring, sequence }) => `${ring} ${sequence}`);
          next.release();
          assert.equal(
            rest.filter((place) => taken.includes(place)).length,
            table[i][1],
            message,
          );
          assert.deepEqual([...new Set([...taken, ...rest])].sort(), [...all].sort(), message);
          check(next.ledger());
          next.close();
          rmSync(path);
        }
      }
    });
  }
});

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

describe("a collector that is killed after its steps", () => {
  for (const [step, count, again] of COLLECTOR_TABLE) {
    it(`sends ${again} of 2 spans again: ${step} ${count}`, { timeout: 120_000 }, async () => {
      const path = newCopy();
      const sink = await startSink();
      try {
        const args = ["collect", "--once", "--endpoint", sink.url, path];
        const preload = join(ROOT, "tests/testdata/killing.ts");
        const flags = ownRuntime === "bun" ? ["--preload", preload] : [`--preload=${preload}`];
        const env = { OTLP_MMAP_TEST_KILL: `${step},${count}` };
        assert.ok((await run("collector/main.ts", args, flags, env)).killed);
        assert.ok(!(await run("collector/main.ts", args)).killed);
        const ids = receivedBy(sink).map(({ span }) => hex(span.spanId));
        assert.equal(new Set(ids).size, 2);
        assert.equal(ids.length, 2 + again);
        const losses = metricsReceivedBy(sink).filter(({ metric }) =>
          metric.name === "otlp_mmap.records.lost"
        );
        // The same figures, however often they are sent.
        for (const { metric, resource } of losses) {
          assert.equal(plainAttributes(resource.resource!.attributes)["service.name"], "killed");
          assert.ok(metric.data.case === "sum");
          const points = metric.data.value.dataPoints.map(({ attributes, value }) => {
            const plain = plainAttributes(attributes);
            assert.equal(typeof plain["process.pid"], "bigint");
            return [plain["otlp_mmap.ring"], plain["otlp_mmap.reason"], value.value];
          });
          assert.deepEqual(points, [["events", "unreadable_length", 1n], ["spans", "torn", 1n]]);
        }
        assert.ok(losses.length >= 1);
        const reader = Reader.open(path);
        checkLedger(reader.ledger());
        reader.close();
      } finally {
        await sink.stop();
        rmSync(path);
      }
    });
  }
});
