/** Requests by way of the disk, with sinks of the test. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { openSpool, type SpoolOptions } from "../../lib/spool/mod.ts";
import type { Signal } from "../../lib/otlp/request.ts";
import type { Sink } from "../pipeline/queue.ts";
import { SendQueue } from "../pipeline/queue.ts";
import { forEachSignal, SIGNALS } from "../pipeline/signals.ts";
import { accept, folders, giveUp, until } from "../testing/run.ts";
import type { Outcome, SenderState } from "../send/send.ts";
import { MOST_FAR } from "./drainer.ts";
import { createSpooling, type Spooling } from "./spool.ts";
import {
  defaultPlace,
  openCollectorSpool,
  placeOfEndpoint,
  placeOfStore,
  SpoolError,
} from "./spool-place.ts";

const folder = folders("spooling");
const bytes = (text: string): Uint8Array => Buffer.from(text);

/** A backend that answers when it is told to. */
class Backend {
  readonly taken: string[] = [];
  readonly waiting: { readonly body: string; answer(outcome: Outcome): void }[] = [];
  isOpen = false;
  private isAborted = false;
  readonly sink: Sink = {
    send: (body) => {
      const text = Buffer.from(body).toString();
      if (this.isAborted) return Promise.resolve(giveUp(1));
      if (this.isOpen) return this.taken.push(text), Promise.resolve(accept(1));
      return new Promise((answer) => this.waiting.push({ body: text, answer }));
    },
    abort: () => {
      this.isAborted = true;
      for (const { answer } of this.waiting.splice(0)) answer(giveUp(1));
    },
    close: () => Promise.resolve(),
  };
  open(): void {
    this.isOpen = true;
    for (const { body, answer } of this.waiting.splice(0)) {
      this.taken.push(body);
      answer(accept(1));
    }
  }
}

interface Set {
  readonly spooling: Spooling;
  readonly sinks: Record<Signal, Sink>;
  readonly backend: Backend;
  readonly lines: string[];
  store(text: string): Promise<Outcome>;
  end(): Promise<void>;
}

function set(dir: string, options: SpoolOptions = {}): Set {
  const backend = new Backend();
  const lines: string[] = [];
  const spooling = createSpooling(openSpool(dir, options), {
    isPatient: false,
    log: (level, message) => lines.push(`${level} ${message}`),
  });
  const sinks = forEachSignal((signal) => spooling.add(signal, backend.sink));
  return {
    spooling,
    sinks,
    backend,
    lines,
    store: (text) => sinks.traces.send(bytes(text), 1),
    async end() {
      sinks.traces.abort("the end");
      await Promise.all(Object.values(sinks).map((sink) => sink.close()));
      spooling.close();
    },
  };
}

const STORED = { accepted: 0, rejected: 0, dropped: 0, stored: 1 };

describe("a sink with a spool", () => {
  it("answers when a request is stored, and sends in order, one at a time", async () => {
    const { spooling, sinks, backend, store, end } = set(folder());
    for (let i = 0; i < 10; i++) assert.deepEqual(await store(String(i)), STORED);
    assert.deepEqual(backend.waiting.map(({ body }) => body), ["0"]);
    assert.equal(spooling.left, 10);
    assert.equal(sinks.traces.settled, false);
    backend.open();
    await until("all are taken", () => spooling.left === 0);
    assert.deepEqual(backend.taken, [..."0123456789"]);
    assert.equal(sinks.traces.settled, true);
    await store("later");
    await until("that too", () => spooling.left === 0);
    await end();
    assert.deepEqual(spooling.describe(), []);
  });

  it("sends what it was given, whatever becomes of the buffer, also of one whose slices are views", async () => {
    const given: Uint8Array[] = [];
    const sink: Sink = {
      send: (body) => new Promise(() => given.push(body)),
      abort: () => {},
      close: () => Promise.resolve(),
    };
    const spool = openSpool(folder());
    const spooling = createSpooling(spool, { isPatient: false, log: () => {} });
    const body = bytes("as it was");
    await spooling.add("traces", sink).send(body, 1);
    body.fill(0);
    assert.deepEqual(given.map((each) => Buffer.from(each).toString()), ["as it was"]);
    spooling.close();
  });

  it("does not care what becomes of the buffer of a request that is stored", async () => {
    const { spooling, sinks, backend, end } = set(folder());
    const body = bytes("as it was");
    await sinks.traces.send(body, 1);
    body.fill(0);
    backend.open();
    await until("it is taken", () => spooling.left === 0);
    assert.deepEqual(backend.taken, ["as it was"]);
    await end();
  });

  it("leaves to the next one what it could not send, each once and in order", async () => {
    const dir = folder();
    const first = set(dir);
    for (const text of "abcde") await first.store(text);
    assert.equal(first.spooling.hasEarlier, false);
    first.backend.waiting.splice(0)[0].answer(accept(1));
    await until("a is acknowledged", () => first.spooling.left === 4);
    await first.end();
    assert.match(first.spooling.describe()[0], /^4 spans \(4 requests\) are left in the spool/);
    const second = set(dir);
    assert.match(second.lines[0], /^info 4 requests of an earlier run wait in the spool/);
    await second.store("f");
    assert.equal(second.spooling.hasEarlier, true);
    second.backend.open();
    await until("all are taken", () => second.spooling.left === 0);
    assert.deepEqual(second.backend.taken, [..."bcdef"]);
    await until("nothing of the first is left", () => !second.spooling.hasEarlier);
    await second.end();
  });

  it("takes what is of a collector that is gone for that, also where something fails on the way", async () => {
    for (const fails of [false, true]) {
      const dir = folder();
      const other = openSpool(dir);
      const spool = openSpool(dir);
      const adopt = (): number => {
        const count = spool.adopt();
        if (fails) throw new Error("no room for a name");
        return count;
      };
      const lines: string[] = [];
      const spooling = createSpooling(Object.create(spool, { adopt: { value: adopt } }), {
        isPatient: false,
        log: (level, message) => lines.push(`${level} ${message}`),
      });
      spooling.look();
      assert.equal(spooling.hasEarlier, fails);
      other.put("traces", bytes("a"), 1);
      other.close();
      spooling.look();
      assert.deepEqual([spooling.left, spooling.hasEarlier], [1, true]);
      const said = fails
        ? /^warn .*no room for a name/
        : /^info 1 requests of a collector that is gone/;
      assert.match(lines[lines.length - 1], said);
      spooling.close();
    }
  });

  it("tells the queue later what became of requests, and of none twice", async () => {
    const { spooling, sinks, backend, end } = set(folder());
    const answered: Outcome[] = [];
    const queue = new SendQueue(
      sinks.traces,
      (_request, outcome) => answered.push(outcome),
    );
    sinks.traces.later!((outcome, seconds) => queue.count(outcome, seconds));
    const body = bytes("x");
    for (let i = 0; i < 3; i++) queue.push({ buffer: body, length: 1, items: 1 } as never);
    await until("all are stored", () => answered.length === 3);
    assert.deepEqual(queue.totals.accepted + queue.totals.requests, 0);
    const [refused] = backend.waiting.splice(0, 1);
    refused.answer({ accepted: 0, rejected: 0, dropped: 1, reason: "bad" });
    backend.open();
    await until("all are sent", () => spooling.left === 0);
    const { accepted, dropped, requests } = queue.totals;
    assert.deepEqual([accepted, dropped, requests], [2, 1, 3]);
    await end();
  });

  it("does not send again what was delivered of a request that was parted", async () => {
    const dir = folder();
    const { spooling, sinks, backend, store, end } = set(dir);
    await store("both");
    const part = { body: bytes("half"), items: 1 };
    backend.waiting.splice(0)[0].answer({ ...giveUp(1), accepted: 1, left: [part] });
    await until("it is given up", () => sinks.traces.settled === true);
    assert.equal(spooling.left, 1);
    await end();
    const next = set(dir);
    next.backend.open();
    await until("the rest is taken", () => next.spooling.left === 0);
    assert.deepEqual(next.backend.taken.concat(next.backend.waiting.map(({ body }) => body)), [
      "half",
    ]);
    await next.end();
  });

  it("sends what it can't store without storing it, and says so once", async () => {
    const { spooling, backend, lines, store, end } = set(folder(), { maxBytes: 1000 });
    const large = "x".repeat(2000);
    const sent = [store(large), store(large)];
    assert.equal(spooling.left, 0);
    backend.open();
    assert.deepEqual(await Promise.all(sent), [accept(1), accept(1)]);
    assert.deepEqual(await store("small"), STORED);
    assert.equal(lines.length, 2, lines.join("\n"));
    assert.match(lines[0], /^warn spans can't be stored .* larger than --spool-max-size/);
    assert.match(lines[1], /^info spans are stored in the spool .* again/);
    await end();
  });

  it("says what it drops for want of room", async () => {
    const { spooling, lines, store, end } = set(folder(), { maxBytes: 4000, segmentBytes: 500 });
    for (let i = 0; i < 100; i++) await store(`${i} `.repeat(20));
    await until("it is said", () => lines.length > 0);
    assert.match(lines[0], /^warn spans in the spool .* had no room \(see --spool-max-size\)/);
    const { dropped, waiting, running } = spooling.spool.counts.traces;
    assert.equal(dropped.size.requests + waiting.requests + running.requests, 100);
    await end();
    assert.match(
      spooling.describe().join("\n"),
      /dropped: \d+ spans \(\d+ requests\) that had no room/,
    );
  });

  it("goes on without what can't be read, and comes back to it", async () => {
    const dir = folder();
    let time = Date.now();
    const { spooling, sinks, backend, lines, store, end } = set(dir, {
      segmentBytes: 50,
      now: () => time,
    });
    const bodies = [..."abcd"].map((letter) => letter.repeat(50));
    for (const body of bodies) await store(body);
    const path = join(dir, "traces", readdirSync(join(dir, "traces")).sort()[2]);
    renameSync(path, `${path}.whole`);
    symlinkSync("loop", path);
    symlinkSync("loop", join(dir, "traces", "loop"));
    backend.open();
    await until("the others are taken", () => spooling.left === 1);
    await until("it is said", () => lines.length > 0);
    assert.equal(sinks.traces.settled, true, "nobody waits for it at the end");
    await store("e");
    await until("that too", () => spooling.left === 1);
    renameSync(`${path}.whole`, path);
    time += 30_000;
    await until("all are taken", () => spooling.left === 0);
    const [a, b, c, d] = bodies;
    assert.deepEqual(backend.taken, [a, b, d, "e", c]);
    await until("that is said", () => lines.length > 1);
    assert.match(lines[0], /^warn some spans in the spool .* can't be read: ELOOP/);
    assert.match(lines[1], /^info spans in the spool .* can be read again/);
    assert.equal(lines.length, 2);
    await end();
  });

  it("starts sending again when a sink that was full is not any more", async () => {
    const dir = folder();
    const backend = new Backend();
    let full = true;
    const sink = {
      ...backend.sink,
      get full() {
        return full;
      },
    };
    const spooling = createSpooling(openSpool(dir), { isPatient: false, log: () => {} });
    const stored = spooling.add("traces", sink);
    await stored.send(bytes("a"), 1);
    assert.deepEqual(backend.waiting, []);
    full = false;
    backend.isOpen = true;
    await until("it is taken", () => backend.taken.length === 1);
    await stored.close();
    spooling.close();
  });
});

describe("an endpoint that is far away", () => {
  /** Answers each request after a while; how many were under way at the same time at most. */
  function distant(
    ms: number,
  ): { sink: Sink; state: { ok: boolean }; most: number; got: string[] } {
    const state = { ok: true };
    let running = 0;
    const backend = {
      state,
      most: 0,
      got: [] as string[],
      sink: {
        endpoints: [{ name: "far", state: state as SenderState }],
        async send(body: Uint8Array) {
          backend.got.push(Buffer.from(body).toString());
          backend.most = Math.max(backend.most, ++running);
          await new Promise((wake) => setTimeout(wake, ms));
          running--;
          return accept(1);
        },
        abort: () => {},
        close: () => Promise.resolve(),
      },
    };
    return backend;
  }

  async function send(
    signal: Signal,
    backend: { sink: Sink },
    count: number,
    before: () => void = () => {},
  ): Promise<void> {
    const spooling = createSpooling(openSpool(folder()), { isPatient: false, log: () => {} });
    const sink = spooling.add(signal, backend.sink);
    for (let i = 0; i < 20; i++) await sink.send(bytes(`${i}`), 1);
    await until("it was asked often", () => spooling.left === 0);
    before();
    for (let i = 20; i < count; i++) await sink.send(bytes(`${i}`), 1);
    await until("all are taken", () => spooling.left === 0);
    await sink.close();
    spooling.close();
  }

  it("gets several requests at a time, begun in order, and none of metrics", async () => {
    const numbers = Array.from({ length: 40 }, (_, i) => `${i}`);
    for (const signal of SIGNALS) {
      const far = distant(50);
      await send(signal, far, 40);
      assert.equal(far.most, signal === "metrics" ? 1 : MOST_FAR, signal);
      assert.deepEqual(far.got, numbers);
    }
  });

  it("gets one at a time while it fails", async () => {
    const far = distant(50);
    await send("traces", far, 30, () => {
      far.most = 0;
      far.state.ok = false;
    });
    assert.equal(far.most, 1);
  });
});

describe("the place of an endpoint", () => {
  it("is the same for all signals and passwords, and for no other endpoint", () => {
    const folderOf = (signal: Signal, url: string): string => placeOfEndpoint(signal, url).folder;
    const same = [
      folderOf("traces", "http://u:p@host:4318/base/v1/traces"),
      folderOf("logs", "http://u:q@host:4318/base/v1/logs"),
      folderOf("metrics", "http://u@host:4318/base/v1/metrics"),
    ];
    assert.equal(new Set(same).size, 1);
    assert.match(same[0], /^host_4318-[0-9a-f]{12}$/);
    const urls = [
      "http://h",
      "https://h",
      "http://h/base",
      "http://h?a",
      "http://u@h",
      "http://h:8",
    ];
    const others = urls.map((url) => folderOf("traces", url));
    assert.equal(new Set(others).size, urls.length, others.join());
    assert.match(folderOf("traces", "https://[::1]:4317/"), /^[\w.-]+$/);
    const { name } = placeOfEndpoint("traces", "http://u:hunter2@h/x/v1/traces?key=hunter2");
    assert.equal(name, "http://h/x");
    assert.notEqual(placeOfStore("/a").folder, placeOfStore("/b").folder);
  });
});

describe("the place of the spool", () => {
  it("is the user's own", () => {
    assert.equal(defaultPlace({ XDG_STATE_HOME: "/x", HOME: "/h" }, 0), "/x/otlp-mmap/spool");
    assert.equal(
      defaultPlace({ XDG_STATE_HOME: "x", HOME: "/h" }, 1),
      "/h/.local/state/otlp-mmap/spool",
    );
    assert.equal(defaultPlace({ HOME: "/h" }, 0), "/var/lib/otlp-mmap/spool");
    assert.equal(defaultPlace({}, 1), undefined);
  });

  it("is made with its parents, and one that was named must be usable", () => {
    const dir = folder();
    const limits = { maxBytes: 2 ** 20, maxAgeMs: 1000 };
    const log = (): void => {};
    const named = openCollectorSpool({ folder: join(dir, "a/b"), ...limits }, {}, log);
    named!.close();
    assert.deepEqual(readdirSync(join(dir, "a/b")).sort(), ["logs", "metrics", "traces"]);
    assert.throws(
      () => openCollectorSpool({ folder: "/proc/none", ...limits }, {}, log),
      (error) => error instanceof SpoolError && /\/proc\/none.*ENOENT.*--spool/.test(error.message),
    );
    const lines: string[] = [];
    const env = { XDG_STATE_HOME: "/proc/none" };
    const say = (level: string, message: string): void => void lines.push(`${level} ${message}`);
    assert.equal(openCollectorSpool({ folder: null, ...limits }, env, say), null);
    assert.match(
      lines[0],
      /^warn the spool \/proc\/none\/otlp-mmap\/spool can't be used: .*ENOENT/,
    );
  });

  if (process.platform === "linux") {
    it("is not in memory unless that was named", () => {
      const memory = mkdtempSync("/dev/shm/otlp-mmap-test-");
      try {
        const lines: string[] = [];
        const log = (level: string, message: string): void =>
          void lines.push(`${level} ${message}`);
        const limits = { maxBytes: 2 ** 20, maxAgeMs: 1000 };
        const env = { XDG_STATE_HOME: memory };
        assert.equal(openCollectorSpool({ folder: null, ...limits }, env, log), null);
        assert.match(lines[0], /^warn the spool .* would be in memory: .*--no-spool/);
        const own = join(memory, "own");
        mkdirSync(own);
        openCollectorSpool({ folder: own, ...limits }, env, log)!.close();
        assert.match(lines[1], /^warn the spool .* is in memory/);
      } finally {
        rmSync(memory, { recursive: true });
      }
    });
  }
});
