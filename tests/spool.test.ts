/** The collector's spool as its users see it: outages, kills and full disks. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import {
  existsSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { MOST_FAR } from "../collector/delivery/drainer.ts";
import { folders, until } from "../collector/testing/run.ts";
import { openSpool } from "../lib/spool/mod.ts";
import { Writer } from "../lib/writer.ts";
import { observe, type Observed, receivedBy, startCollector } from "./support/collector.ts";
import { ownRuntime } from "./support/runtimes.ts";
import { mountTmpfs } from "./support/tmpfs.ts";
import { scrape } from "./support/prometheus.ts";

const folder = folders("spool-e2e");

/** A backend that can be away, or keep its callers waiting. */
async function startBackend(): Promise<{
  readonly url: string;
  readonly bodies: Uint8Array[];
  /** Requests that came, taken or not. */
  asked: number;
  state: "away" | "silent" | "far" | "there";
  names(): string[];
  stop(): Promise<void>;
}> {
  const bodies: Uint8Array[] = [];
  const server = createServer((request, response) => {
    const chunks: Uint8Array[] = [];
    request.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    request.on("end", () => {
      backend.asked++;
      if (backend.state === "away") return response.writeHead(503).end();
      if (request.url === "/v1/traces") bodies.push(Buffer.concat(chunks));
      if (backend.state === "silent") return;
      setTimeout(() => response.writeHead(200).end(), backend.state === "far" ? 60 : 0);
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const backend = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bodies,
    asked: 0,
    state: "there" as "away" | "silent" | "far" | "there",
    names: () => receivedBy({ bodies }).map(({ span }) => span.name),
    async stop() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
  return backend;
}

/** Spans of a process that ended, in the order in which they ended. */
function leave(directory: string, name: string, from: number, count: number): void {
  const writer = Writer.create(join(directory, `${name}.otlp`));
  const scope = writer.scope({ name: "s" });
  for (let i = from; i < from + count; i++) scope.startSpan(`span ${i}`).end();
  writer.close();
}

const COUNT = 500;
const ALL = Array.from({ length: COUNT }, (_, i) => `span ${i}`);
const holds = (directory: string, names: RegExp): boolean =>
  existsSync(directory) && readdirSync(directory).some((name) => names.test(name));
const isEmpty = (directory: string) => (): boolean => readdirSync(directory).length === 0;

describe("collect with a spool", () => {
  it("delivers all in order after an outage in which it was killed twice", async () => {
    const [directory, spool] = [folder(), folder()];
    const backend = await startBackend();
    backend.state = "away";
    const args = [directory, "--endpoint", backend.url, "--spool", spool, "--batch-size", "10"];
    let collector: Observed | undefined;
    try {
      for (let part = 0; part < 2; part++) {
        collector = startCollector(args);
        leave(directory, String(part), part * COUNT / 2, COUNT / 2);
        await until("all is stored", isEmpty(directory));
        assert.equal((await collector.stop("SIGKILL")).signal, "SIGKILL");
      }
      assert.deepEqual(backend.names(), []);
      backend.state = "there";
      collector = startCollector(args);
      await until("all are there", () => backend.names().length >= COUNT);
      assert.equal((await collector.stop()).code, 0, collector.text());
      assert.deepEqual(backend.names(), ALL);
      assert.match(collector.text(), /\d+ requests of an earlier run wait in the spool/);
      assert.match(collector.text(), /: 500 delivered, 0 refused by the backend, 0 dropped/);
      // Which request was the last is known on.
      const left = readdirSync(join(spool, "traces"));
      assert.deepEqual(left.filter((name) => !name.endsWith(".mark")), []);
    } finally {
      await collector?.stop("SIGKILL");
      await backend.stop();
    }
  });

  for (
    const [backendIs, most, what] of [
      ["there", 1, "delivers again no more than what was on its way when it was killed"],
      ["far", MOST_FAR, "has several on their way to a far backend, and delivers no more again"],
    ] as const
  ) {
    it(what, async () => {
      const [directory, spool] = [folder(), folder()];
      const backend = await startBackend();
      backend.state = backendIs;
      const args = [directory, "--endpoint", backend.url, "--spool", spool, "--batch-size", "10"];
      const first = startCollector(args);
      let second: Observed | undefined;
      try {
        leave(directory, "a", 0, COUNT / 2);
        await until("half is there", () => backend.names().length >= COUNT / 2);
        // From now on it takes requests, and the collector does not hear of it.
        backend.state = "silent";
        leave(directory, "b", COUNT / 2, COUNT / 2);
        await until("all is stored", isEmpty(directory));
        const under = 10 * most;
        await until(
          "all that may be is on its way",
          () => backend.names().length === COUNT / 2 + under,
        );
        await first.stop("SIGKILL");
        backend.state = "there";
        second = startCollector(args);
        await until("all are there", () => backend.names().length >= COUNT + under);
        assert.equal((await second.stop()).code, 0, second.text());
        const names = backend.names();
        assert.equal(names.length, COUNT + under);
        assert.deepEqual([...new Set(names)].sort(), [...ALL].sort());
      } finally {
        await first.stop("SIGKILL");
        await second?.stop("SIGKILL");
        await backend.stop();
      }
    });
  }

  it("ends soon while the backend is away, and says what is left; figures say so before", async () => {
    const [directory, state] = [folder(), folder()];
    const backend = await startBackend();
    backend.state = "away";
    // The default place.
    const env = { OTLP_MMAP_SPOOL: "", XDG_STATE_HOME: state };
    const args = ["collect", directory, "--endpoint", backend.url, "--health", "0"];
    const first = observe(ownRuntime, "collector/main.ts", args, { env });
    try {
      await first.wrote(/served at http:\S+\/healthz/);
      const url = /served at (http:\S+)\/healthz/.exec(first.text())![1];
      leave(directory, "a", 0, 5);
      await until("all is stored", isEmpty(directory));
      await until("it was tried", () => backend.asked > 0);
      const figures = await scrape(`${url}/metrics`);
      assert.ok(figures.get('otlp_mmap_spool_size_bytes{signal="traces"}')! > 0);
      const sum = ["waiting", "running"]
        .map((of) => figures.get(`otlp_mmap_spool_requests{signal="traces",state="${of}"}`)!)
        .reduce((a, b) => a + b);
      assert.equal(sum, 1);
      const dropped = 'otlp_mmap_spool_items_dropped_total{reason="size",signal="traces"}';
      assert.equal(figures.get(dropped), 0);
      assert.equal((await first.stop()).code, 0, first.text());
      assert.match(
        first.text(),
        /5 spans \(1 requests\) are left in the spool \S+\/otlp-mmap\/spool/,
      );
      assert.doesNotMatch(first.text(), /not delivered/);
    } finally {
      await first.stop("SIGKILL");
      await backend.stop();
    }
  });

  it("shares its folder with another that lives, and takes over what a dead one left", async () => {
    const [one, two, spool] = [folder(), folder(), folder()];
    const away = await startBackend();
    away.state = "away";
    const there = await startBackend();
    const first = startCollector([one, "--endpoint", away.url, "--spool", spool]);
    let second: Observed | undefined;
    try {
      leave(one, "a", 0, 5);
      await until("all is stored", isEmpty(one));
      second = startCollector([two, "--endpoint", there.url, "--spool", spool]);
      leave(two, "b", 5, 5);
      await until("the second's are there", () => there.names().length === 5);
      await second.stop();
      await first.stop("SIGKILL");
      second = startCollector([two, "--endpoint", there.url, "--spool", spool]);
      await until("the first's are there", () => there.names().length === 10);
      assert.deepEqual(there.names().sort(), ALL.slice(0, 10).sort());
    } finally {
      await first.stop("SIGKILL");
      await second?.stop("SIGKILL");
      await away.stop();
      await there.stop();
    }
  });

  it("keeps with --once what could not be sent, for the next one", async () => {
    const [directory, spool] = [folder(), folder()];
    const backend = await startBackend();
    backend.state = "away";
    const args = ["--once", directory, "--endpoint", backend.url, "--spool", spool];
    leave(directory, "a", 0, 5);
    const first = startCollector(args);
    try {
      await until("it was tried", () => backend.asked > 0);
      assert.equal((await first.stop()).code, 1, first.text());
      assert.match(first.text(), /5 spans \(1 requests\) are left in the spool/);
      backend.state = "there";
      const second = startCollector(args);
      assert.equal((await second.ended).code, 0, second.text());
      assert.deepEqual(backend.names(), ALL.slice(0, 5));
    } finally {
      await first.stop("SIGKILL");
      await backend.stop();
    }
  });

  it("makes its folder again when somebody removes it, and goes on with what it has", async () => {
    const [directory, spool] = [folder(), folder()];
    const backend = await startBackend();
    backend.state = "away";
    const args = [directory, "--endpoint", backend.url, "--spool", spool];
    const first = startCollector(args);
    let second: Observed | undefined;
    const writer = Writer.create(join(directory, "lives.otlp"));
    try {
      const scope = writer.scope({ name: "s" });
      const open = scope.startSpan("open");
      for (const name of ALL.slice(0, 5)) scope.startSpan(name).end();
      await until("all was taken", () => writer.counters().spans.released === 11);
      await until("some is stored", () => holds(join(spool, "traces"), /tmp$/));
      rmSync(spool, { recursive: true });
      await first.wrote(/error: the spool \S+ was removed or replaced .* 0 items so far/);
      await first.wrote(/error: the journal in \S+ was removed or replaced/);
      await until(
        "both are there again",
        () => ["traces", "journal"].every((name) => holds(join(spool, name), /\.(tmp|journal)$/)),
      );
      for (const name of ALL.slice(5, 10)) scope.startSpan(name).end();
      await until("the others were taken", () => writer.counters().spans.released === 21);
      await first.stop("SIGKILL");
      assert.equal(first.text().match(/was removed or replaced/g)!.length, 2, "each said once");
      assert.deepEqual(backend.names(), []);
      backend.state = "there";
      second = startCollector(args);
      open.end();
      await until("all are there", () => backend.names().length >= 11);
      assert.equal((await second.stop()).code, 0, second.text());
      assert.deepEqual(backend.names().sort(), [...ALL.slice(0, 10), "open"].sort());
    } finally {
      writer.close();
      await first.stop("SIGKILL");
      await second?.stop("SIGKILL");
      await backend.stop();
    }
  });

  it("says so and is not ready while its folder can't be made again", async () => {
    const [directory, spool] = [folder(), folder()];
    const backend = await startBackend();
    const args = [directory, "--endpoint", backend.url, "--spool", spool, "--health", "0"];
    const collector = startCollector(args);
    try {
      await collector.wrote(/served at http:\S+\/healthz/);
      const url = /served at (http:\S+)\/healthz/.exec(collector.text())![1];
      const ready = async (): Promise<string> => await (await fetch(`${url}/readyz`)).text();
      const shows = async (what: RegExp): Promise<void> => {
        let page = "";
        await until(`${what}`, async () => what.test(page = await ready()), { state: () => page });
      };
      leave(directory, "a", 0, 5);
      await until("the first are there", () => backend.names().length === 5);
      rmSync(spool, { recursive: true });
      writeFileSync(spool, "");
      await shows(/^the spool \S+: .*\nthe journal in \S+: .*\n$/);
      await collector.wrote(/error: the spool \S+ is gone, or can't be looked at: /);
      leave(directory, "b", 5, 5);
      unlinkSync(spool);
      await shows(/^ok\n$/);
      await collector.wrote(/error: the spool \S+ was removed or replaced/);
      await until("the others are there", () => backend.names().length === 10);
      assert.equal((await collector.stop()).code, 0, collector.text());
      assert.deepEqual(backend.names(), ALL.slice(0, 10));
    } finally {
      await collector.stop("SIGKILL");
      await backend.stop();
    }
  });

  it("says nothing of a journal that only can't be looked at, and is written as before", async () => {
    const [directory, spool] = [folder(), folder()];
    const backend = await startBackend();
    const collector = startCollector([directory, "--endpoint", backend.url, "--spool", spool]);
    const writer = Writer.create(join(directory, "lives.otlp"));
    const journal = join(spool, "journal");
    try {
      const scope = writer.scope({ name: "s" });
      let count = 0;
      const record = async (): Promise<void> => {
        scope.startSpan("span").end();
        count += 2;
        await until("it was taken", () => writer.counters().spans.released === count);
      };
      await record();
      renameSync(journal, `${journal}-kept`);
      symlinkSync(journal, journal);
      for (const began = performance.now(); performance.now() - began < 2500;) await record();
      unlinkSync(journal);
      renameSync(`${journal}-kept`, journal);
      await record();
      assert.equal((await collector.stop()).code, 0, collector.text());
      assert.doesNotMatch(
        collector.text(),
        /the journal in \S+ can't|the journal is written again/,
      );
      assert.equal(backend.names().length, count / 2);
    } finally {
      writer.close();
      await collector.stop("SIGKILL");
      await backend.stop();
    }
  });

  it("ends with 2 when the spool that was named can't be used", async () => {
    const collector = startCollector([
      folder(),
      "--endpoint",
      "http://h:1",
      "--spool",
      "/proc/none",
    ]);
    assert.equal((await collector.ended).code, 2);
    assert.match(collector.text(), /error: the spool \/proc\/none can't be used: /);
  });
});

const disk = folder();
const unmount = mountTmpfs(disk, "size=1m");
// Only root can make a disk of its own, which can then be filled up.
if (unmount !== undefined) {
  describe("a spool on a full disk", () => {
    it("refuses, reads nothing in part, and works again when there is room", () => {
      const dir = join(disk, "lib");
      const filler = join(disk, "filler");
      const spool = openSpool(dir, { maxBytes: 64 << 20, segmentBytes: 64 << 10, sync: "none" });
      const body = (i: number): Uint8Array => Buffer.alloc(5000, `${i} `);
      const stored: number[] = [];
      let i = 0;
      const fill = (): void => {
        for (;; i++) {
          const placed = spool.put("traces", body(i), 1);
          if ("refused" in placed) return assert.equal(placed.refused, "full");
          stored.push(i);
        }
      };
      writeFileSync(filler, "");
      fill();
      assert.ok(stored.length > 100);
      assert.match(spool.lastError!, /ENOSPC/);
      assert.equal(spool.counts.traces.refused.full.requests, 1);
      // Room for some more, without a segment's being complete.
      const one = spool.next("traces")!;
      assert.deepEqual(Buffer.from(one.body), body(0));
      spool.acknowledge(one.id);
      let drained = 1;
      for (; drained < 50; drained++) {
        const next = spool.next("traces")!;
        assert.deepEqual(Buffer.from(next.body), body(stored[drained]));
        spool.acknowledge(next.id);
      }
      spool.close();
      const again = openSpool(dir, { maxBytes: 64 << 20, segmentBytes: 64 << 10, sync: "none" });
      assert.equal("id" in again.put("traces", body(i), 1), true);
      stored.push(i);
      const rest: Uint8Array[] = [];
      for (let next = again.next("traces"); next !== null; next = again.next("traces")) {
        rest.push(Buffer.from(next.body));
        again.acknowledge(next.id);
      }
      assert.deepEqual(rest, stored.slice(drained).map(body));
      assert.equal(again.counts.traces.dropped.corrupt.requests, 0);
      assert.equal(again.counts.traces.torn, 0);
      again.close();
      unlinkSync(filler);
    });

    it("makes the collector leave everything where it is until there is room", async () => {
      const directory = folder();
      const filler = join(disk, "filler");
      const backend = await startBackend();
      const args = [directory, "--endpoint", backend.url, "--spool", join(disk, "spool")];
      const collector = startCollector(args);
      try {
        leave(directory, "a", 0, 5);
        await until("the first are there", () => backend.names().length === 5);
        writeFileSync(filler, "");
        const { bsize, bavail } = statfsSync(disk);
        writeFileSync(filler, new Uint8Array(bsize * bavail));
        leave(directory, "b", 5, 500);
        await collector.wrote(/error: the journal in \S+ can't be written: .*no space left/i);
        assert.equal(backend.names().length, 5);
        unlinkSync(filler);
        await until("all are there", () => backend.names().length === 505);
        leave(directory, "c", 505, 5);
        await until("the rest too", () => backend.names().length === 510);
        await collector.stop();
        assert.match(collector.text(), /the journal is written again/);
        assert.equal(new Set(backend.names()).size, 510);
      } finally {
        await collector.stop("SIGKILL");
        await backend.stop();
        unmount();
      }
    });
  });
}
