import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import * as net from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Signal } from "../../lib/otlp/request.ts";
import { Writer } from "../../lib/writer.ts";
import { startSink } from "../../tests/peers/sink.ts";
import { observe, receivedBy } from "../../tests/support/collector.ts";
import { ownRuntime } from "../../tests/support/runtimes.ts";
import { createFanOut, type FanOut, MAX_LAG, MAX_LAG_BYTES } from "./fan-out.ts";
import { MAX_RUNNING, MAX_WAITING, type Sink } from "../pipeline/queue.ts";
import type { Outcome } from "../send/send.ts";
import { accept, folders, giveUp, run, TestSink, until } from "../testing/run.ts";
import { forEachSignal } from "../pipeline/signals.ts";

const folder = folders("fan-out");

/** An endpoint that answers when it is told to. */
class Endpoint {
  readonly got: number[] = [];
  readonly sink: Sink;
  private answers: (() => void)[] = [];
  constructor(name: string) {
    this.sink = {
      endpoints: [{ name }],
      send: (body, items) => {
        this.got.push(body[0]);
        return new Promise((resolve) => this.answers.push(() => resolve(accept(items))));
      },
      abort: () => {},
      close: () => Promise.resolve(),
    };
  }
  /** Answers everything there is, and what comes of that. */
  async answerAll(): Promise<void> {
    while (this.answers.length > 0) {
      for (const answer of this.answers.splice(0)) answer();
      await sleep(0);
    }
  }
}

function fanOut(names: string[], mayDrop = true): {
  sink: FanOut;
  /** Sends a request of 10 items, whose first byte is its number. */
  push: (number: number, bytes?: number) => void;
  endpoints: Endpoint[];
  lines: string[];
  answered: [number, Outcome][];
} {
  const endpoints = names.map((name) => new Endpoint(name));
  const lines: string[] = [];
  const answered: [number, Outcome][] = [];
  const log = (level: string, message: string): void => void lines.push(`${level} ${message}`);
  const sink = createFanOut("traces", endpoints.map((each) => each.sink), { mayDrop, log });
  const push = (number: number, bytes = 8): void => {
    const body = new Uint8Array(bytes).fill(number).subarray(0, 8);
    void sink.send(body, 10).then((outcome) => void answered.push([number, outcome]));
  };
  return { sink, push, endpoints, lines, answered };
}

describe("requests to several endpoints", () => {
  it("are given back when all have answered", async () => {
    const { sink, push, endpoints: [a, b], answered } = fanOut(["a", "b"]);
    push(1);
    await a.answerAll();
    assert.deepEqual(answered, []);
    assert.deepEqual([sink.idle, sink.full], [true, false]);
    await b.answerAll();
    assert.deepEqual(answered, [[1, accept(10)]]);
    assert.deepEqual([sink.idle, sink.full], [true, false]);
    for (const { name, queue } of sink.endpoints) {
      assert.ok(queue.empty, name);
      assert.equal(queue.totals.accepted, 10);
    }
  });

  it("are dropped, oldest first, for one that hangs, and that is said once each way", async () => {
    const { sink, push, endpoints: [a, b], lines, answered } = fanOut(["a", "b"]);
    const count = MAX_RUNNING + MAX_LAG + 5;
    for (let i = 0; i < count; i++) {
      push(i);
      await a.answerAll();
      assert.equal(sink.full, false);
    }
    assert.equal(a.got.length, count);
    assert.deepEqual(b.got, [0, 1]);
    // The five that waited for longest behind those being sent.
    assert.deepEqual(answered.map(([number]) => number), [2, 3, 4, 5, 6]);
    // The worst of what became of them.
    for (const [, outcome] of answered) assert.equal(outcome.dropped, 10);
    assert.equal(lines.length, 1);
    assert.match(lines[0], /^warn b: does not keep up with the other endpoints; the oldest spans/);
    await b.answerAll();
    assert.equal(answered.length, count);
    assert.deepEqual(b.got, [0, 1, ...a.got.slice(7)]);
    assert.deepEqual(lines.slice(1), ["info b: keeps up again; 50 spans were dropped for it"]);
    const [toA, toB] = sink.endpoints.map(({ queue: { totals } }) => totals);
    assert.deepEqual([toA.accepted, toA.dropped], [count * 10, 0]);
    assert.deepEqual([toB.accepted, toB.dropped], [count * 10 - 50, 50]);
    assert.ok(sink.endpoints.every(({ queue }) => queue.empty));
  });

  it("are bounded in bytes too", async () => {
    const { sink, push, endpoints: [a, b], answered } = fanOut(["a", "b"]);
    const bytes = MAX_LAG_BYTES / 8;
    for (let i = 0; i < MAX_RUNNING + 8; i++) {
      push(i, bytes);
      await a.answerAll();
    }
    assert.equal(answered.length, 0);
    push(99, bytes);
    await a.answerAll();
    assert.deepEqual(answered.map(([number]) => number), [2]);
    await b.answerAll();
    assert.ok(sink.endpoints.every(({ queue }) => queue.empty));
    assert.deepEqual(sink.endpoints.map(({ queue: { pendingBytes } }) => pendingBytes), [0, 0]);
  });

  it("are not dropped when many come at once, nor when nobody answers", async () => {
    const { sink, push, endpoints, lines, answered } = fanOut(["a", "b"]);
    assert.equal(sink.full, false);
    for (let i = 0; i < MAX_RUNNING + MAX_WAITING; i++) push(i);
    assert.equal(sink.full, true);
    for (let i = MAX_RUNNING + MAX_WAITING; i < 200; i++) push(i);
    assert.deepEqual(answered, []);
    await Promise.all(endpoints.map((endpoint) => endpoint.answerAll()));
    assert.deepEqual(endpoints[0].got, Array.from({ length: 200 }, (_, i) => i));
    assert.deepEqual(endpoints[1].got, endpoints[0].got);
    assert.equal(answered.length, 200);
    assert.deepEqual(lines, []);
  });

  it("wait for the slowest where nothing may be dropped", async () => {
    const { sink, push, endpoints: [a, b], lines, answered } = fanOut(["a", "b"], false);
    let sent = 0;
    for (; !sink.full; sent++) {
      push(sent);
      await a.answerAll();
    }
    assert.equal(sent, MAX_RUNNING + MAX_WAITING);
    for (; sent < MAX_LAG * 2; sent++) push(sent);
    await a.answerAll();
    assert.deepEqual(answered, []);
    await b.answerAll();
    assert.deepEqual(b.got, Array.from({ length: sent }, (_, i) => i));
    assert.equal(answered.length, sent);
    assert.deepEqual(lines, []);
  });

  it("have the worst outcome of all", async () => {
    const outcomes: Outcome[] = [
      { accepted: 10, rejected: 0, dropped: 0 },
      { accepted: 8, rejected: 2, dropped: 0 },
      { accepted: 5, rejected: 0, dropped: 5, reason: "refused" },
      { accepted: 7, rejected: 0, dropped: 3, gaveUp: true },
    ];
    for (let i = 0; i < outcomes.length; i++) {
      const some = outcomes.slice(0, i + 1);
      for (const order of [some, [...some].reverse()]) {
        const sinks = order.map((outcome): Sink => ({
          send: () => Promise.resolve(outcome),
          abort: () => {},
          close: () => Promise.resolve(),
        }));
        const sink = createFanOut("logs", [...sinks, sinks[0]], { mayDrop: true, log: () => {} });
        assert.deepEqual(await sink.send(new Uint8Array(1), 10), outcomes[i]);
      }
    }
  });
});

/** Sinks that send everything to both. */
function both(one: TestSink, other: TestSink, mayDrop = true): Record<Signal, Sink> {
  return forEachSignal((signal) =>
    createFanOut(signal, [one.sinks[signal], other.sinks[signal]], { mayDrop, log: () => {} })
  );
}

describe("a collector with several endpoints", () => {
  it("goes on while one hangs; what it sends late is whole; all hanging holds back", async () => {
    const directory = folder();
    const fast = new TestSink();
    const slow = new TestSink();
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => release = resolve);
    slow.answer = async (count) => {
      await gate;
      return accept(count);
    };
    const sinks = both(fast, slow);
    const { pipeline, ended, lines } = run([directory], { sinks, batchSize: 10 });
    const writer = Writer.create(join(directory, "a.otlp"), { spans: { slots: 1024 } });
    const scope = writer.scope({ name: "s" });
    const names: string[] = [];
    // Less than the slow one may lag behind: it gets all of it in the end.
    for (let i = 0; i < 30; i++) {
      for (let j = 0; j < 10; j++) {
        names.push(`span ${i}.${j}`);
        scope.startSpan(names[names.length - 1]).end();
      }
      await until(`batch ${i}`, () => fast.spans.length === names.length);
    }
    assert.equal(slow.spans.length, 0);
    assert.equal(pipeline.requests.queues.traces.full, false);
    // The process is over, and its file stays until everybody has its spans.
    writer.close();
    await sleep(1500);
    assert.equal(readdirSync(directory).includes("a.otlp"), true);

    // When nobody takes anything, records wait in their file.
    fast.answer = slow.answer;
    const other = Writer.create(join(directory, "b.otlp"), { spans: { slots: 1024 } });
    const more = other.scope({ name: "s" });
    await until("the ring is full and stays so", () => {
      for (;;) {
        const name = `more ${names.length}`;
        const span = more.startSpan(name);
        if (span.started !== "written") break;
        names.push(name);
        assert.equal(span.end(), "written");
      }
      return pipeline.requests.queues.traces.full && !other.drained;
    });
    await sleep(200);
    assert.ok(pipeline.summary.spans < names.length, "the others wait in the file");

    release();
    await until("all of them, fast", () => fast.spans.length === names.length);
    await until("all of them, slow", () => slow.spans.length === names.length);
    names.sort();
    assert.deepEqual(fast.names, names);
    assert.deepEqual(slow.names, names);
    other.close();
    await until("no files", () => readdirSync(directory).length === 0);
    pipeline.stop();
    assert.equal(await ended, 0);
    assert.deepEqual(lines.filter((line) => line.startsWith("warn")), []);
  });

  it("keeps in their files what one of them was not given", async () => {
    const directory = folder();
    const works = new TestSink();
    const fails = new TestSink();
    fails.answer = (count) => giveUp(count);
    const sinks = both(fails, works, false);
    const writer = Writer.create(join(directory, "a.otlp"));
    writer.scope({ name: "s" }).startSpan("one").end();
    writer.close();
    const first = run([directory], { sinks, once: true });
    assert.equal(await first.ended, 1);
    assert.deepEqual(works.names, ["one"]);
    assert.match(
      first.lines.join("\n"),
      /not delivered, and left in their files for the next run: 1 span$/m,
    );
    assert.match(first.lines.join("\n"), /spans to endpoint 1: 0 delivered, 0 .*, 1 dropped/);
    assert.match(first.lines.join("\n"), /spans to endpoint 2: 1 delivered, 0 .*, 0 dropped/);
    const second = run([directory], { once: true });
    assert.equal(await second.ended, 0);
    assert.deepEqual(second.sink.names, ["one"]);
  });

  it("names each in the summary, as a program", async () => {
    const directory = folder();
    const sockets = new Set<net.Socket>();
    const hanging = net.createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.resume();
    });
    await new Promise<void>((done) => hanging.listen(0, "127.0.0.1", () => done()));
    const stuck = `http://127.0.0.1:${(hanging.address() as net.AddressInfo).port}`;
    const sink = await startSink();
    const file = join(directory, "app.otlp");
    const writer = Writer.create(file);
    const scope = writer.scope({ name: "s" });
    const collector = observe(ownRuntime, "collector/main.ts", [
      ...["collect", file, "--batch-size", "1", "--endpoint", stuck.replace("//", "//u:hunter2@")],
      ...["--endpoint", sink.url],
    ]);
    try {
      const total = MAX_LAG + 20;
      for (let i = 0; i < total; i++) {
        scope.startSpan(`span ${i}`).end();
        await until(`span ${i}: ${collector.text()}`, () => sink.bodies.length === i + 1);
      }
      const { code } = await collector.stop();
      const text = collector.text();
      assert.equal(code, 0, text);
      assert.equal(new Set(receivedBy(sink).map(({ span }) => span.name)).size, total);
      const count = (pattern: RegExp): number => text.match(pattern)?.length ?? 0;
      assert.equal(count(/does not keep up with the other endpoints/g), 1, text);
      const lines = text.split("\n").map((line) => line.replace("otlp-mmap: ", ""));
      const at = (path: string): string => `${stuck}/v1/${path}`;
      for (
        const line of [
          `${total} spans from 1 file`,
          `spans to ${at("traces")}: 0 delivered, 0 refused by the backend, ${total} dropped`,
          `spans to ${sink.url}/v1/traces: ${total} delivered, 0 refused by the backend, 0 dropped`,
          `log records to ${at("logs")}: 0 delivered, 0 refused by the backend, 0 dropped`,
        ]
      ) assert.ok(lines.includes(line), `${line}\nnot in\n${text}`);
      assert.doesNotMatch(text, /hunter2/);
    } finally {
      await collector.stop("SIGKILL");
      writer.close();
      for (const socket of sockets) socket.destroy();
      hanging.close();
      await sink.stop();
    }
  });
});
