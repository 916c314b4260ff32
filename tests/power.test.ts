/**
 * A loss of power under an application with `durability: "power"` and its collector: what the application
 * had synced arrives, whatever the collector had taken, stored and removed. The disk is an image with a
 * file system of its own; a copy of the image is what the disk has, without what the system still holds
 * in memory.
 */
import assert from "node:assert/strict";
import type { Buffer } from "node:buffer";
import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import { formatInspection } from "../collector/inspect/format.ts";
import { inspect } from "../collector/inspect/inspect.ts";
import { until } from "../collector/testing/run.ts";
import { Mapping } from "../ffi/mod.ts";
import { whyNoDisk } from "../lib/file/disk.ts";
import {
  EXT_BOOT_ID,
  EXT_LOSS,
  EXT_SYNCED,
  LOSS_REASONS,
  RING_SPANS,
} from "../lib/format/layout.ts";
import { startSink } from "./peers/sink.ts";
import { type Backend, startBackend } from "./support/backend.ts";
import { observe, receivedBy, startCollector } from "./support/collector.ts";
import { Random, seed } from "./support/random.ts";
import { ownRuntime } from "./support/runtimes.ts";
import { outputOf } from "./support/shell.ts";

const work = mkdtempSync(join(tmpdir(), "otlp-mmap-power-"));
const image = join(work, "disk");
const disk = join(work, "mounted");
mkdirSync(disk);

/** Nothing goes to the disk by itself for as long as this takes. */
function mount(path: string): boolean {
  return outputOf("mount", "-o", "loop,commit=600", path, disk) !== undefined;
}

/** Makes the disk, for the first time or anew, and mounts it; false where there can be none. */
function mountEmpty(): boolean {
  outputOf("umount", disk);
  writeFileSync(image, "");
  truncateSync(image, 96 << 20);
  const now = "lazy_itable_init=0,lazy_journal_init=0";
  return outputOf("mkfs.ext4", "-qF", "-E", now, image) !== undefined && mount(image);
}

const isMounted = process.platform === "linux" && mountEmpty();
after(() => {
  if (isMounted) outputOf("umount", disk);
  rmSync(work, { recursive: true });
});

/** The application's files on the disk. */
function files(): string[] {
  const place = join(disk, "application");
  // Not before the first sync.
  if (!existsSync(place)) return [];
  return readdirSync(place).filter((name) => name.endsWith(".otlp")).map((name) =>
    join(place, name)
  );
}

/** The spool's own, without the copies for each of several endpoints: folders, and what is in them. */
function firstSpool(): string[] {
  const folders = ["traces", "metrics", "logs"].map((signal) => join(disk, "spool", signal))
    .filter((folder) => existsSync(folder));
  return folders.flatMap((folder) => [
    ...readdirSync(folder).map((name) => join(folder, name)),
    folder,
  ]);
}

function syncPath(path: string): void {
  const fd = openSync(path, "r");
  fsyncSync(fd);
  closeSync(fd);
}

/** What was on the disk at a moment, and how many spans were synced when there was a file no more. */
interface Moment {
  readonly image: string;
  readonly spans: number | null;
}

/** Spans of which a file says that they are on the disk: two records each. */
function syncedSpans({ i64 }: Mapping): number {
  return Math.floor(Number(Atomics.load(i64, EXT_SYNCED / 8 + RING_SPANS)) / 2);
}

// Only root can mount.
if (isMounted) {
  describe(`a loss of power, seed ${seed}`, () => {
    const random = new Random();

    async function takesNothing(backends: readonly Backend[]): Promise<void> {
      assert.ok(mountEmpty());
      for (const backend of backends) backend.away = true;
      const args = [
        ...["--spool", join(disk, "spool"), join(disk, "application")],
        ...backends.flatMap(({ url }) => ["--endpoint", url]),
      ];
      const application = observe(ownRuntime, "tests/testdata/power-writer.ts", [
        join(disk, "application"),
      ]);
      const collector = startCollector(args);
      const moments: Moment[] = [];
      const processes = [application.child.pid!, collector.child.pid!];
      const note = (spans: number | null): void => {
        // What says that it was copied, the system may have written by itself, and nothing else.
        if (backends.length > 1) { for (const path of firstSpool()) syncPath(path); }
        const copy = `${image}.${moments.length}`;
        copyFileSync(image, copy);
        moments.push({ image: copy, spans });
      };
      let spans = 0;
      try {
        await application.wrote(/\.otlp\n/);
        const file = Mapping.open(application.text().trim());
        for (let i = 0; i < 3; i++) {
          await new Promise((resolve) => setTimeout(resolve, 700 + random.below(1500)));
          for (const pid of processes) process.kill(pid, "SIGSTOP");
          spans = syncedSpans(file);
          note(null);
          for (const pid of processes) process.kill(pid, "SIGCONT");
        }
        const lost = EXT_LOSS / 8 + RING_SPANS * LOSS_REASONS;
        for (let reason = 0; reason < LOSS_REASONS; reason++) {
          assert.equal(file.i64[lost + reason], 0n, "all were recorded");
        }
        file.close();
        // Dead, stored and removed.
        await application.stop("SIGKILL");
        await until("it is removed", () => files().length === 0, { state: collector.text });
        process.kill(collector.child.pid!, "SIGSTOP");
        note(spans);
        process.kill(collector.child.pid!, "SIGCONT");
      } finally {
        await application.stop("SIGKILL");
        await collector.stop("SIGKILL");
      }
      let total = 0;
      for (const [i, { image, spans: known }] of moments.entries()) {
        assert.notEqual(outputOf("umount", disk), undefined, `moment ${i} can be left`);
        assert.ok(mount(image), `moment ${i} can be mounted`);
        let synced = known ?? 0;
        for (const path of files()) {
          const file = Mapping.open(path);
          synced = syncedSpans(file);
          // Of another boot.
          file.u8[EXT_BOOT_ID] ^= 1;
          file.close();
          const inspection = inspect(path);
          assert.doesNotMatch(formatInspection(inspection), /does not close/);
          // Of one that was never synced there may be the name alone.
          if (inspection.facts === null) assert.equal(synced, 0);
          else assert.match(inspection.notes.join(), /the system stopped after this was written/);
        }
        for (const backend of backends) {
          backend.away = false;
          backend.bodies.traces.length = 0;
        }
        const last = startCollector(["--once", ...args]);
        try {
          await last.ended;
          assert.doesNotMatch(last.text(), /does not close/);
          for (const { bodies } of backends) {
            const received = receivedBy({ bodies: bodies.traces });
            const arrived = new Set(received.map(({ span }) => Number(span.name)));
            const missing = Array.from({ length: synced }, (_, n) => n).filter((n) =>
              !arrived.has(n)
            );
            assert.deepEqual(missing, [], `moment ${i}, ${synced} spans: ${last.text()}`);
          }
          total += synced;
        } finally {
          await last.stop("SIGKILL");
        }
      }
      assert.ok(total > 1000, `${total} spans were synced`);
    }

    for (const endpoints of [1, 2]) {
      const name =
        `takes nothing from a collector that the application had synced, to ${endpoints}`;
      it(name, { timeout: 180_000 }, async () => {
        const backends = await Promise.all(Array.from({ length: endpoints }, startBackend));
        try {
          await takesNothing(backends);
        } finally {
          for (const backend of backends) await backend.stop();
        }
      });
    }
  });
}

if (process.platform === "linux" && whyNoDisk(work) === null) {
  it("delivers again what the disk lost of the spool, though it has what was stored later", async () => {
    const [directory, spool] = [join(work, "recorded"), join(work, "stored")];
    const away = await startSink({ statuses: { traces: 503 } });
    const args = [directory, "--spool", spool, "--batch-size", "10"];
    const application = observe(ownRuntime, "tests/testdata/power-writer.ts", [directory]);
    await application.wrote(/\.otlp\n/);
    const collector = startCollector([...args, "--endpoint", away.url]);
    const stored = (): string[] => {
      const traces = join(spool, "traces");
      const names = existsSync(traces) ? readdirSync(traces) : [];
      return names.filter((name) => name.endsWith(".tmp")).map((name) => join(traces, name));
    };
    const records = (content: Buffer): number[] => {
      const found: number[] = [];
      for (let at = 0; (at = content.indexOf("TSPL", at)) >= 0; at++) found.push(at);
      return found;
    };
    try {
      await until(
        "some are stored",
        () => stored().length === 1 && records(readFileSync(stored()[0])).length > 20,
      );
    } finally {
      await collector.stop("SIGKILL");
      await application.stop("SIGKILL");
      await away.stop();
    }
    const [path] = stored();
    const content = readFileSync(path);
    const [from, to] = records(content).slice(10);
    writeFileSync(path, content.fill(0, from, to));
    const backend = await startSink();
    const last = startCollector([...args, "--once", "--endpoint", backend.url]);
    try {
      await last.ended;
      const arrived = new Set(receivedBy(backend).map(({ span }) => Number(span.name)));
      const missing = Array.from({ length: Math.max(...arrived) }, (_, n) => n)
        .filter((n) => !arrived.has(n));
      assert.ok(arrived.size > 200, last.text());
      assert.deepEqual(missing, [], last.text());
    } finally {
      await last.stop("SIGKILL");
      await backend.stop();
    }
  });
}
