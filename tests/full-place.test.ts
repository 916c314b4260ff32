/**
 * An application and its collector share the 64 MB that a container has in memory, and something fills
 * them: files, spool, journal and store are all there. The application goes on, nothing that it could
 * record is lost, and when there is room again everything arrives once.
 */
import assert from "node:assert/strict";
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statfsSync,
  unlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { until } from "../collector/testing/run.ts";
import { readGeometry } from "../lib/file/geometry.ts";
import {
  closes,
  describeLedger,
  readLedger,
  type RingLedger,
  totalOf,
} from "../lib/file/ledger.ts";
import { MappedFile } from "../lib/file/mapped.ts";
import { startBackend } from "./support/backend.ts";
import { pointsOf } from "./support/collect.ts";
import {
  isInterrupted,
  logsReceivedBy,
  metricsReceivedBy,
  observe,
  plainAttributes,
  receivedBy,
  startCollector,
} from "./support/collector.ts";
import { ownRuntime } from "./support/runtimes.ts";
import { command } from "./support/steady.ts";
import { mountTmpfs } from "./support/tmpfs.ts";

const work = mkdtempSync(join(tmpdir(), "otlp-mmap-full-"));
const place = join(work, "place");
mkdirSync(place);
const unmount = mountTmpfs(place, "size=64m");
after(() => {
  unmount?.();
  rmSync(work, { recursive: true });
});

/** Leaves no room, whatever has been given back meanwhile. */
function fill(filler: string): void {
  for (;;) {
    const { bavail, bsize } = statfsSync(place);
    if (bavail === 0) return;
    try {
      appendFileSync(filler, new Uint8Array(bavail * bsize));
    } catch (error) {
      if ((error as { code?: string }).code !== "ENOSPC") throw error;
    }
  }
}

// Only root can make a place of its own, which can then be filled up.
if (unmount !== undefined) {
  describe("64 MB that are full", () => {
    for (const isKilled of [false, true]) {
      const how = isKilled ? ", also where the collector is killed meanwhile" : "";
      it(`leave the application running, and the collector with what it has${how}`, {
        timeout: 120_000,
      }, async () => {
        const root = join(place, String(isKilled));
        const files = join(root, "files");
        mkdirSync(files, { recursive: true });
        const filler = join(root, "filler");
        const backend = await startBackend();
        const store = join(root, "store.db");
        const collect = () =>
          startCollector([
            ...["--endpoint", backend.url, "--spool", join(root, "spool"), `--store=${store}`],
            ...["--metrics-interval", "100ms", files],
          ]);
        let collector = collect();
        const writer = observe(ownRuntime, "tests/testdata/steady-writer.ts", [
          ...[files, "forever", "1"],
        ]);
        let file: MappedFile | null = null;
        try {
          await writer.wrote(/ready/);
          const [name] = readdirSync(files).filter((each) => each.endsWith(".otlp"));
          const { mapping } = file = MappedFile.open(join(files, name));
          const geometry = readGeometry(name, mapping.u8, mapping.size);
          assert.ok("rings" in geometry);
          const ledgers = (): RingLedger[] =>
            geometry.rings.map((ring) => readLedger(mapping, ring));
          const refused = (): number =>
            ledgers().reduce((sum, ledger) => sum + totalOf(ledger.refused), 0);
          const offered = (): number => ledgers().reduce((sum, ledger) => sum + ledger.offered, 0);
          const claimed = (): number => ledgers().reduce((sum, ledger) => sum + ledger.claimed, 0);
          // Span records, events and measurements that arrived.
          const came = (): number[] => {
            const spans = receivedBy({ bodies: backend.bodies.traces });
            const logs = logsReceivedBy({ logs: backend.bodies.logs });
            const sums = new Map<string, number>();
            for (const { metric } of metricsReceivedBy({ metrics: backend.bodies.metrics })) {
              for (const point of metric.name === "rounds" ? pointsOf(metric) : []) {
                const parity = String(plainAttributes(point.attributes).parity);
                const { value } = (point as { value: { value: unknown } }).value;
                sums.set(parity, Math.max(sums.get(parity) ?? 0, Number(value)));
              }
            }
            const recordsOf = spans.map((each) =>
              1 + Number(!isInterrupted(each)) +
              Number("late" in plainAttributes(each.span.attributes))
            );
            const sum = (counts: readonly number[]): number => counts.reduce((a, b) => a + b, 0);
            return [
              sum(recordsOf),
              sum(spans.map(({ span }) => span.events.length)) + logs.length,
              sum([...sums.values()]),
            ];
          };
          await until("something comes", () => backend.bodies.traces.length > 0);
          // What arrives would give its room back.
          backend.away = true;
          fill(filler);
          await until("the collector says so", () => {
            fill(filler);
            return /error.*(no space left|disk is full)/i.test(collector.text());
          }, { state: collector.text });
          await until("the rings are full", () => {
            fill(filler);
            return refused() > 0;
          }, { state: collector.text });
          if (isKilled) {
            await collector.stop("SIGKILL");
            fill(filler);
            // Where there is no room for a lock it says so, and is started again by whoever looks after it.
            const early = collect();
            assert.equal((await early.ended).code, 2, early.text());
            assert.match(early.text(), /the spool \S+ can't be used: .*no space left/i);
          }
          // The application goes on, with nothing but refusals.
          const before = offered();
          await until("it goes on", () => {
            fill(filler);
            return offered() > before + 2_000;
          });
          assert.equal(writer.child.exitCode, null);
          unlinkSync(filler);
          backend.away = false;
          if (isKilled) collector = collect();
          const then = claimed();
          await until("it records again", () => claimed() > then + 2_000, {
            state: collector.text,
          });
          await writer.stop("SIGKILL");
          await until("all is taken", () => !readdirSync(files).includes(name), {
            state: collector.text,
          });
          const [events, records, measurements] = ledgers();
          const expected = [records, events, measurements].map(({ delivered }) => delivered);
          // An endpoint that was away is asked again late.
          await until("all has arrived", () => came().every((count, i) => count >= expected[i]), {
            state: collector.text,
          });
          const end = await collector.stop();
          assert.equal(end.code, 0);
          assert.doesNotMatch(collector.text(), /does not close/);

          for (const ledger of [events, records, measurements]) {
            assert.ok(closes(ledger), describeLedger(ledger).join("; "));
            assert.equal(ledger.pending + ledger.torn + totalOf(ledger.rejected), 0);
          }
          // Every record that found room is in what arrived, which came once.
          const names = receivedBy({ bodies: backend.bodies.traces }).map(({ span }) => span.name);
          assert.equal(new Set(names).size, names.length, "spans came twice");
          assert.deepEqual(came(), expected, "span records, events, measurements");
          const stored = await command(["sql", `--store=${store}`, "select count(*) from spans"]);
          assert.match(stored.out, new RegExp(`\\b${names.length}\\b`), stored.err);
        } catch (error) {
          throw new Error(`the collector said: ${collector.text()}`, { cause: error });
        } finally {
          await writer.stop("SIGKILL");
          await collector.stop("SIGKILL");
          await backend.stop();
          file?.close();
          rmSync(root, { recursive: true, force: true });
        }
      });
    }
  });
}
