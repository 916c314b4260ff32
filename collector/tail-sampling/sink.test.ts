import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ConfigFile } from "../../lib/metrics/yaml-fields.ts";
import {
  ExportTraceServiceRequestSchema,
  type Span,
  type Status_StatusCode,
} from "../../proto/gen/otlp_pb.ts";
import { Random, seed } from "../../tests/support/random.ts";
import { createFanOut } from "../delivery/fan-out.ts";
import type { Outcome } from "../send/send.ts";
import { until } from "../testing/run.ts";
import { readTailSampling } from "../config/tail-sampling.ts";
import { isSampled } from "./policies.ts";
import { createTailSamplingSink, type TailSampling } from "./sink.ts";

const SECOND = 1_000_000_000n;

interface Made {
  readonly trace: number;
  readonly id: number;
  readonly service: string;
  readonly isRoot: boolean;
  readonly error: boolean;
  readonly start: bigint;
  readonly end: bigint;
  readonly large?: string;
}

function idOf(number: number, bytes: number): Uint8Array<ArrayBuffer> {
  const id = new Uint8Array(bytes);
  // All over the range, so that sampling by the last bytes sees every value.
  let x = Math.imul(number + 1, 0x9e3779b1);
  for (let i = 0; i < bytes; i++) {
    x = Math.imul(x ^ x >>> 15, 0x85ebca6b) + i | 0;
    id[i] = x >>> 13;
  }
  id.set([number >>> 24, number >>> 16, number >>> 8, number], 0);
  return id;
}

/** A request as the collector makes it: by resource and scope. */
function requestOf(spans: readonly Made[]): Uint8Array {
  const services = [...new Set(spans.map(({ service }) => service))];
  return toBinary(
    ExportTraceServiceRequestSchema,
    create(ExportTraceServiceRequestSchema, {
      resourceSpans: services.map((service) => ({
        resource: {
          attributes: [{
            key: "service.name",
            value: { value: { case: "stringValue" as const, value: service } },
          }],
        },
        schemaUrl: "urn:resource",
        scopeSpans: ["a", "b"].map((name, parity) => ({
          scope: { name },
          schemaUrl: "urn:scope",
          spans: spans.filter((span) => span.service === service && span.id % 2 === parity)
            .map((span) => ({
              traceId: idOf(span.trace, 16),
              spanId: idOf(span.id, 8),
              parentSpanId: span.isRoot ? new Uint8Array(0) : idOf(span.id + 1, 8),
              name: `${span.trace}/${span.id}`,
              startTimeUnixNano: span.start,
              endTimeUnixNano: span.end,
              status: {
                code: (span.error ? 2 : 1) as Status_StatusCode,
                message: span.error ? "bad" : span.large ?? "",
              },
            })),
        })).filter((scope) => scope.spans.length > 0),
      })),
    }),
  );
}

/** The traces in the order in which a request names them. */
function orderOf(body: Uint8Array): number[] {
  return fromBinary(ExportTraceServiceRequestSchema, body).resourceSpans
    .flatMap(({ scopeSpans }) => scopeSpans).flatMap(({ spans }) => spans)
    .map(({ name }) => Number(name.split("/")[0]));
}

/** A receiver, and what it has of each service and scope. */
function receiver(answer: (items: number) => Promise<Outcome> = accept): {
  send(body: Uint8Array, items: number): Promise<Outcome>;
  abort(): void;
  close(): Promise<void>;
  readonly received: Map<string, Span>;
} {
  const received = new Map<string, Span>();
  return {
    received,
    send(body, items) {
      let count = 0;
      const request = fromBinary(ExportTraceServiceRequestSchema, body);
      for (const { resource, schemaUrl, scopeSpans } of request.resourceSpans) {
        assert.equal(schemaUrl, "urn:resource");
        const service = resource!.attributes[0].value!.value.value as string;
        for (const { scope, schemaUrl, spans } of scopeSpans) {
          assert.equal(schemaUrl, "urn:scope");
          for (const span of spans) {
            const key = `${service} ${scope!.name} ${span.name}`;
            assert.ok(!received.has(key), `twice: ${key}`);
            received.set(key, span);
            count++;
          }
        }
      }
      assert.equal(count, items);
      return answer(items);
    },
    abort: () => {},
    close: () => Promise.resolve(),
  };
}

function accept(items: number): Promise<Outcome> {
  return Promise.resolve({ accepted: items, rejected: 0, dropped: 0 });
}

const NOTHING = { errors: false, latency: null, rate: null, probability: 0 };

function sampling(policies: Partial<TailSampling["policies"]>, maxSpans = 1_000): TailSampling {
  return { decisionWaitMs: 1_000, maxSpans, policies: { ...NOTHING, ...policies } };
}

let nextId = 0;
function span(trace: number, more: Partial<Made> = {}): Made {
  const start = 1_000n * SECOND;
  return {
    trace,
    id: nextId++,
    service: "shop",
    isRoot: false,
    error: false,
    start,
    end: start + 1_000n,
    ...more,
  };
}

const namesOf = (received: Map<string, Span>): string[] =>
  [...received.values()].map(({ name }) => name.split("/")[0]).sort();

describe("tail sampling", () => {
  console.log(`seed ${seed}`);

  it("keeps exactly the traces an oracle keeps, of several processes, in bounded memory", async () => {
    const random = new Random();
    const traces = 100_000;
    const policies = {
      errors: true,
      latency: SECOND,
      rate: 20,
      probability: 0.05,
    };
    const MAX_SPANS = 50_000;
    let now = 0;
    const inner = receiver();
    const config = { decisionWaitMs: 2_000, maxSpans: MAX_SPANS, policies };
    const sink = createTailSamplingSink(inner, () => config, 2_048, () => now);
    const all: Made[][] = [];
    /** Spans by the tick, of 100 ms, in which they come. */
    const schedule: Made[][] = [];
    for (let trace = 0; trace < traces; trace++) {
      const at = 1_000n * SECOND + BigInt(random.below(1_000_000));
      const home = random.below(5);
      const isSlow = random.below(20) === 0;
      const hasError = random.below(30) === 0;
      const count = 1 + random.below(6);
      const spans = Array.from({ length: count }, (_, i): Made => ({
        trace,
        id: nextId++,
        service: `service ${(home + i) % 5}`,
        isRoot: i === 0,
        error: hasError && i === count - 1,
        start: at + BigInt(i),
        end: at + (isSlow && i === 0 ? SECOND : BigInt(random.below(900_000_000))),
      }));
      all.push(spans);
      // Children come before and after their root, within the time that is waited.
      for (const each of spans) {
        const tick = Math.floor(trace / 400) + (each.isRoot ? 10 : random.below(15));
        (schedule[tick] ??= []).push(each);
      }
    }
    const answers: Promise<Outcome>[] = [];
    const firstSeen = new Map<number, number>();
    let most = 0;
    for (let tick = 0; tick < schedule.length + 30; tick++) {
      now = tick * 100;
      sink.tick();
      const spans = schedule[tick] ?? [];
      if (spans.length > 0) {
        const body = requestOf(spans);
        answers.push(sink.send(body, spans.length));
        for (const name of orderOf(body)) {
          if (!firstSeen.has(name)) firstSeen.set(name, tick);
        }
      }
      most = Math.max(most, sink.held);
      await new Promise((resolve) => setImmediate(resolve));
    }
    // The oracle has every trace as a whole, and takes them in the order in which they are due.
    const expected: number[] = [];
    const budgets = new Map<string, { left: number; at: number }>();
    for (const [trace, tick] of firstSeen) {
      const spans = all[trace];
      const starts = spans.map(({ start }) => start).sort((a, b) => a < b ? -1 : 1);
      const ends = spans.map(({ end }) => end).sort((a, b) => a < b ? -1 : 1);
      const last = Buffer.from(idOf(trace, 16)).subarray(9).toString("hex");
      const service = spans.find(({ isRoot }) => isRoot)!.service;
      const time = (tick + 20) * 100;
      const isKept = spans.some(({ error }) => error) || ends.at(-1)! - starts[0] >= SECOND ||
        BigInt(`0x${last}`) >= BigInt(Math.round(0.95 * 2 ** 56));
      if (!isKept) {
        const budget = budgets.get(service) ?? { left: 20, at: time };
        budgets.set(service, budget);
        budget.left = Math.min(20, budget.left + (time - budget.at) / 1000 * 20);
        budget.at = time;
        if (budget.left < 1) continue;
        budget.left--;
      }
      expected.push(trace);
    }
    const outcomes = await Promise.all(answers);
    await sink.close();
    const sum = (name: "accepted" | "filtered" | "dropped" | "rejected"): number =>
      outcomes.reduce((total, outcome) => total + (outcome[name] ?? 0), 0);
    const made = all.reduce((total, spans) => total + spans.length, 0);
    assert.equal(sum("accepted") + sum("filtered"), made);
    assert.equal(sum("accepted"), inner.received.size);
    assert.equal(sink.counts.early, 0);
    assert.equal(sink.counts.kept, expected.length);
    assert.equal(sink.held, 0);
    assert.ok(most < MAX_SPANS, `${most} spans held`);
    // Whole traces, and no others.
    const wanted = expected.flatMap((trace) => all[trace].map(() => `${trace}`)).sort();
    assert.ok(wanted.length > 10_000 && wanted.length < made / 2, `${wanted.length} of ${made}`);
    assert.deepEqual(namesOf(inner.received), wanted);
  });

  it("leaves spans as they are, with their resource and scope", async () => {
    const inner = receiver();
    const sink = createTailSamplingSink(inner, () => sampling({ probability: 1 }), 2_048, () => 0);
    const spans = [span(1), span(1, { service: "db", error: true }), span(2, { isRoot: true })];
    const body = requestOf(spans);
    const answer = sink.send(body, 3);
    sink.flush!();
    assert.deepEqual(await answer, { accepted: 3, rejected: 0, dropped: 0, filtered: 0 });
    const before = receiver();
    await before.send(body, 3);
    assert.deepEqual(
      [...inner.received].sort(([a], [b]) => a < b ? -1 : 1),
      [...before.received].sort(([a], [b]) => a < b ? -1 : 1),
    );
    await sink.close();
  });

  it("answers when the fate of the last span is known, and late spans follow their trace", async () => {
    let now = 0;
    const inner = receiver();
    const sink = createTailSamplingSink(inner, () => sampling({ errors: true }), 2_048, () => now);
    const answered: string[] = [];
    const send = (name: string, spans: Made[]): void => {
      void sink.send(requestOf(spans), spans.length).then(({ accepted, filtered }) =>
        answered.push(`${name}: ${accepted} ${filtered}`)
      );
    };
    const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    send("first", [span(10, { error: true }), span(11)]);
    now = 999;
    sink.tick();
    await settle();
    assert.deepEqual(answered, []);
    assert.equal(sink.held, 2);
    now = 1_000;
    sink.tick();
    await settle();
    assert.deepEqual(answered, ["first: 1 1"]);
    send("late", [span(10), span(11, { error: true })]);
    await settle();
    assert.deepEqual(answered, ["first: 1 1", "late: 1 1"]);
    assert.deepEqual(namesOf(inner.received), ["10", "10"]);
    await sink.close();
  });

  it("decides early on the oldest when too much is held", async () => {
    const inner = receiver();
    const sink = createTailSamplingSink(
      inner,
      () => sampling({ errors: true }, 10),
      2_048,
      () => 0,
    );
    const answers: Promise<Outcome>[] = [];
    for (let i = 0; i < 30; i++) {
      answers.push(sink.send(requestOf([span(100 + i, { error: i % 2 === 0 })]), 1));
      // What is kept of the early ones goes out.
      await new Promise((resolve) => setImmediate(resolve));
      assert.ok(sink.held <= 10, `${sink.held} held`);
    }
    assert.equal(sink.counts.early, 20);
    sink.flush!();
    await Promise.all(answers);
    assert.equal(inner.received.size, 15);
    await sink.close();
  });

  it("sends to several endpoints, of which one hangs and then goes on", async () => {
    const fast = receiver();
    const releases: (() => void)[] = [];
    const slow = receiver((items) =>
      new Promise((resolve) => releases.push(() => void accept(items).then(resolve)))
    );
    const both = createFanOut("traces", [fast, slow], { mayDrop: false, log: () => {} });
    const sink = createTailSamplingSink(both, () => sampling({ probability: 1 }), 2_048, () => 0);
    const answers: Promise<Outcome>[] = [];
    const send = (): void => {
      answers.push(sink.send(requestOf([span(answers.length)]), 1));
      sink.flush!();
    };
    while (!both.full) {
      send();
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(fast.received.size, answers.length);
    // These wait before the fan-out: nobody says when there is room again.
    for (let i = 0; i < 5; i++) send();
    assert.equal(sink.full, true);
    await until("everything to both", () => {
      for (const release of releases.splice(0)) release();
      return slow.received.size === answers.length;
    });
    for (const { accepted } of await Promise.all(answers)) assert.equal(accepted, 1);
    assert.equal(fast.received.size, answers.length);
    assert.equal(sink.held, 0);
    await sink.close();
  });

  it("passes on what the backend says, and holds back when it is slow", async () => {
    const releases: ((outcome: Outcome) => void)[] = [];
    const inner = receiver(() => new Promise((resolve) => releases.push(resolve)));
    const sink = createTailSamplingSink(
      inner,
      () => sampling({ probability: 1 }, 2),
      2_048,
      () => 0,
    );
    const send = (trace: number, count: number): Promise<Outcome> => {
      const spans = Array.from({ length: count }, () => span(trace));
      const answer = sink.send(requestOf(spans), count);
      sink.flush!();
      return answer;
    };
    const first = send(200, 3);
    releases[0]({ accepted: 1, rejected: 2, dropped: 0, reason: "two are bad" });
    assert.deepEqual(await first, {
      accepted: 1,
      rejected: 2,
      dropped: 0,
      filtered: 0,
      reason: "two are bad",
    });
    // Two are on their way, the others wait.
    const more = Array.from({ length: 6 }, (_, i) => send(300 + i, 1));
    assert.deepEqual([releases.length, sink.held, sink.full], [3, 4, true]);
    sink.abort("no more");
    const aborted = { accepted: 0, rejected: 0, dropped: 1, gaveUp: true, reason: "aborted" };
    releases[1](aborted);
    releases[2](aborted);
    const reasons = (await Promise.all(more)).map(({ reason, dropped, gaveUp }) =>
      `${reason} ${dropped} ${gaveUp}`
    );
    const last = "no more 1 true";
    assert.deepEqual(reasons, ["aborted 1 true", "aborted 1 true", last, last, last, last]);
    await sink.close();
  });

  it("counts what is left out behind it as left out", async () => {
    const inner = receiver((items) =>
      Promise.resolve({ accepted: items - 2, rejected: 0, dropped: 0, filtered: 2 })
    );
    const sink = createTailSamplingSink(inner, () => sampling({ probability: 1 }), 2_048, () => 0);
    const answer = sink.send(requestOf([span(210), span(211), span(212)]), 3);
    sink.flush!();
    assert.deepEqual(await answer, { accepted: 1, rejected: 0, dropped: 0, filtered: 2 });
    await sink.close();
  });

  it("sends no more at a time than is configured, by spans and by bytes", async () => {
    const counts: number[] = [];
    const inner = receiver((items) => {
      counts.push(items);
      return accept(items);
    });
    const policies = sampling({ probability: 1 });
    const sink = createTailSamplingSink(inner, () => policies, 3, () => 0);
    const answers = [sink.send(requestOf(Array.from({ length: 7 }, () => span(220))), 7)];
    const large = "x".repeat(2 << 20);
    answers.push(sink.send(requestOf(Array.from({ length: 3 }, () => span(221, { large }))), 3));
    sink.flush!();
    const [small, big] = await Promise.all(answers);
    assert.deepEqual([small.accepted, big.accepted], [7, 3]);
    assert.deepEqual(counts, [3, 3, 3, 1]);
    await sink.close();
  });

  it("holds nothing after the end was announced, and nothing after an abort", async () => {
    const inner = receiver();
    const policies = sampling({ errors: true });
    const sink = createTailSamplingSink(inner, () => policies, 2_048, () => 0);
    sink.flush!();
    const late = await sink.send(requestOf([span(230), span(231, { error: true })]), 2);
    assert.deepEqual(late, { accepted: 1, rejected: 0, dropped: 0, filtered: 1 });
    sink.abort("over");
    const given = { accepted: 0, rejected: 0, dropped: 1, reason: "over", gaveUp: true };
    assert.deepEqual(await sink.send(requestOf([span(232)]), 1), given);
    await sink.close();
  });

  it("gives up a trace of very many spans", async () => {
    const count = 150_000;
    const policies = sampling({ errors: true }, count);
    const sink = createTailSamplingSink(receiver(), () => policies, 1, () => 0);
    const answer = sink.send(requestOf(Array.from({ length: count }, () => span(240))), count);
    sink.abort("over");
    assert.deepEqual((await answer).dropped, count);
    await sink.close();
  });

  it("says of every request that may not be delivered as a whole that it was given up", async () => {
    const inner = receiver((items) =>
      Promise.resolve({ accepted: items - 1, rejected: 0, dropped: 1, gaveUp: true })
    );
    const sink = createTailSamplingSink(inner, () => sampling({ probability: 1 }), 2_048, () => 0);
    const answers = [250, 251].map((trace) => sink.send(requestOf([span(trace)]), 1));
    sink.flush!();
    const outcomes = await Promise.all(answers);
    assert.deepEqual(outcomes.map(({ gaveUp }) => gaveUp), [true, true]);
    assert.deepEqual(outcomes.map(({ dropped }) => dropped), [1, 0]);
    await sink.close();
  });

  it("may be switched off and on while it runs", async () => {
    let current: TailSampling | null = sampling({ errors: true });
    const inner = receiver();
    const sink = createTailSamplingSink(inner, () => current, 2_048, () => 0);
    const held = sink.send(requestOf([span(400)]), 1);
    current = null;
    const passed = sink.send(requestOf([span(401)]), 1);
    sink.tick();
    assert.equal((await held).accepted, 1);
    assert.equal((await passed).accepted, 1);
    assert.equal((await sink.send(requestOf([span(402)]), 1)).accepted, 1);
    assert.deepEqual(namesOf(inner.received), ["400", "401", "402"]);
    await sink.close();
  });

  it("samples by the last 56 bits of a trace id", () => {
    const id = (hex: string): Uint8Array =>
      Uint8Array.from(hex.match(/../g)!, (x) => parseInt(x, 16));
    const half = "ffffffffffffffffff80000000000000";
    const below = "ffffffffffffffffff7fffffffffffff";
    assert.deepEqual([isSampled(id(half), 0.5), isSampled(id(below), 0.5)], [true, false]);
    const most = id("00".repeat(9) + "ff".repeat(7));
    assert.deepEqual([isSampled(most, 1e-9), isSampled(most, 0), isSampled(id(below), 1)], [
      true,
      false,
      true,
    ]);
  });

  it("is configured", () => {
    const read = (yaml: string): unknown => {
      const file = new ConfigFile(yaml, "file.yaml");
      const top = file.fields(file.root, "", null, ["tail_sampling"]);
      const found = readTailSampling(file, top.get("tail_sampling"));
      return file.problems.length > 0 ? file.problems : found;
    };
    assert.deepEqual(
      read(`tail_sampling:
  decision_wait: 30s
  max_spans: 5000
  keep_errors: true
  keep_slower_than: 1.5s
  keep_per_second: 2
  keep_probability: 0.1`),
      {
        decisionWaitMs: 30_000,
        maxSpans: 5_000,
        policies: { errors: true, latency: 1_500_000_000n, rate: 2, probability: 0.1 },
      },
    );
    assert.deepEqual(read("tail_sampling: {}"), {
      decisionWaitMs: 10_000,
      maxSpans: 100_000,
      policies: NOTHING,
    });
    assert.deepEqual(
      read("tail_sampling: {decision_wait: 11m, max_spans: 0, keep_probability: 1.5, keep: 1}"),
      [
        "file.yaml:1:74: tail_sampling.keep: no such field; there is decision_wait, max_spans, " +
        "keep_errors, keep_slower_than, keep_per_second or keep_probability",
        'file.yaml:1:32: tail_sampling.decision_wait: must be 10m at most, is "11m"',
        "file.yaml:1:48: tail_sampling.max_spans: must be an integer from 1 to 10000000, is 0",
        "file.yaml:1:69: tail_sampling.keep_probability: must be from 0 to 1, is 1.5",
      ],
    );
  });
});
