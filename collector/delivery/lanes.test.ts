/** Spools of several endpoints, in the process of the test. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Signal } from "../../lib/otlp/request.ts";
import { openSpool } from "../../lib/spool/mod.ts";
import { type Parcel, SendQueue, type Sink } from "../pipeline/queue.ts";
import { ownRuntime, start } from "../../tests/support/runtimes.ts";
import { ROOT } from "../../tools/runtimes.ts";
import type { Outcome, SenderState } from "../send/send.ts";
import { createTailSamplingSink } from "../tail-sampling/sink.ts";
import { createProcessingSink } from "../processors/sink.ts";
import { accept, folders, giveUp, until } from "../testing/run.ts";
import { createFanOut } from "./fan-out.ts";
import { createLanes, type LaneOptions, type Lanes } from "./lanes.ts";
import { createLeftovers } from "./leftovers.ts";
import { placeOfEndpoint } from "./spool-place.ts";
import { createSwitch } from "./switch.ts";

const folder = folders("lanes");
const bytes = (text: string): Uint8Array => Buffer.from(text);

/** An endpoint that takes everything, or nothing while it is away. */
class Endpoint {
  readonly got: string[] = [];
  private readonly waiting: (() => void)[] = [];
  private isAway = false;
  readonly state = { ok: true };
  readonly url: string;
  constructor(url: string) {
    this.url = url;
  }
  set away(isAway: boolean) {
    this.isAway = isAway;
    this.state.ok = !isAway;
    if (!isAway) { for (const go of this.waiting.splice(0)) go(); }
  }
  /** One of several senders to it. */
  sink(outcome: Outcome = accept(1)): Sink {
    let abort = (): void => {};
    const aborted = new Promise<void>((resolve) => abort = resolve);
    let isAborted = false;
    return {
      endpoints: [{ name: this.url, state: this.state as SenderState }],
      send: async (body) => {
        const there = new Promise<void>((resolve) => this.waiting.push(resolve));
        const text = Buffer.from(body).toString();
        if (this.isAway) await Promise.race([there, aborted]);
        if (isAborted) return giveUp(1);
        this.got.push(text);
        return outcome;
      },
      abort: () => {
        isAborted = true;
        abort();
      },
      close: () => Promise.resolve(),
    };
  }
}

function open(dir: string, more: Partial<LaneOptions> = {}): { lanes: Lanes; lines: string[] } {
  const lines: string[] = [];
  const log = (level: string, message: string): void => void lines.push(`${level} ${message}`);
  const spool = openSpool(dir, { maxBytes: 2 ** 20 });
  return { lanes: createLanes({ spool, maxAgeMs: 1e6, isPatient: false, log, ...more }), lines };
}

function attach(lanes: Lanes, { url }: Endpoint, sink: Sink, signal: Signal = "traces"): Sink {
  return lanes.attach(placeOfEndpoint(signal, url), { [signal]: sink })[signal]!;
}

const STAND_IN = ownRuntime === "bun"
  ? ["--preload", join(ROOT, "lib/spool/testing/calls.bun.ts")]
  : [`--import-map=${join(ROOT, "lib/spool/testing/calls.json")}`];

describe("spools of several endpoints", () => {
  it("have a copy on the disk before it is acknowledged where it came from, if asked", async () => {
    const program = join(ROOT, "collector/delivery/testing/copied.ts");
    const done = async (syncs: string): Promise<string[]> => {
      const { output } = start(ownRuntime, program, [folder(), syncs], { flags: STAND_IN });
      return (await output).trim().split("\n");
    };
    const acknowledge = "acknowledge /traces/tmp";
    assert.deepEqual(await done("no"), [acknowledge]);
    const copies = ["sync /endpoints/a-traces/tmp", "sync /endpoints/b-traces/tmp"];
    assert.deepEqual(await done("syncs"), [...copies, acknowledge]);
  });

  it("have what is left of a request on the disk before the whole is acknowledged", async () => {
    const program = join(ROOT, "collector/delivery/testing/parted.ts");
    const { output } = start(ownRuntime, program, [folder()], { flags: STAND_IN });
    const done = (await output).trim().split("\n");
    assert.deepEqual(done, ["sync /traces/tmp", "acknowledge /traces/tmp"]);
  });

  it("count what has arrived at all, and drop what one has refused", async () => {
    const [a, b] = [new Endpoint("http://a"), new Endpoint("http://b")];
    const { lanes } = open(folder());
    const refused = { accepted: 0, rejected: 0, dropped: 1 };
    const sinks = [attach(lanes, a, a.sink()), attach(lanes, b, b.sink(refused))];
    const sink = createFanOut("traces", sinks, { mayDrop: true, log: () => {} });
    const totals = { accepted: 0, rejected: 0, dropped: 0 };
    sink.later!((outcome) => {
      for (const key of ["accepted", "rejected", "dropped"] as const) totals[key] += outcome[key];
    });
    b.away = true;
    const stored = { accepted: 0, rejected: 0, dropped: 0, stored: 1 };
    for (let i = 0; i < 3; i++) assert.deepEqual(await sink.send(bytes(`${i}`), 1), stored);
    await until("one has them", () => a.got.length === 3);
    assert.equal(sink.settled, true, "the other does not work");
    assert.deepEqual(totals, { accepted: 0, rejected: 0, dropped: 0 });
    assert.deepEqual(sink.endpoints.map(({ queue }) => queue.totals.accepted), [3, 0]);
    b.away = false;
    await until("all are answered", () => lanes.left === 0);
    assert.deepEqual(b.got, a.got);
    assert.deepEqual(totals, { accepted: 0, rejected: 0, dropped: 3 });
    await sink.close();
    lanes.close();
    assert.deepEqual(lanes.describe(), []);
  });

  it("store again after a while in which they could not", async () => {
    const b = new Endpoint("http://b");
    const dir = folder();
    const { lanes, lines } = open(dir);
    const queue = new SendQueue<Parcel>(attach(lanes, b, b.sink()), () => {});
    const [lane] = readdirSync(join(dir, "endpoints"));
    const place = join(dir, "endpoints", lane, "traces");
    let sent = 0;
    const push = (): void => {
      const buffer = bytes(`${sent++}`);
      queue.push({ buffer, length: buffer.length, items: 1 });
    };
    b.away = true;
    renameSync(place, `${place}.gone`);
    writeFileSync(place, "not a folder, and in the way of one");
    for (let i = 0; i < 5; i++) push();
    assert.deepEqual([queue.running, queue.pending], [2, 3]);
    assert.match(lines.join(), /can't be stored/);
    rmSync(place);
    renameSync(`${place}.gone`, place);
    await until("it is tried again", () => {
      push();
      return queue.pending === 0;
    });
    await until("what waited is stored", () => queue.running === 2);
    assert.match(lines.join(), /are stored in .* again/);
    b.away = false;
    await until("all of it has come", () => new Set(b.got).size === sent);
    lanes.close();
  });

  it("leave what waits for the endpoints of others alone, however much it is", async () => {
    const dir = folder();
    const body = new Uint8Array(60_000);
    const b = new Endpoint("http://b");
    b.away = true;
    const before = open(dir);
    const sink = attach(before.lanes, b, b.sink());
    for (let i = 0; i < 15; i++) await sink.send(body, 1);
    await sink.close();
    before.lanes.close();
    assert.equal(before.lanes.left, 15);
    // Of another collector, which sends to somebody else.
    const other = open(dir);
    other.lanes.look();
    assert.match(other.lines.join(), /15 requests wait in/);
    other.lanes.close();
    const again = open(dir);
    attach(again.lanes, b, b.sink());
    assert.equal(again.lanes.left, 15);
    again.lanes.close();
  });

  it("don't store what is not to be stored", async () => {
    const [a, b] = [new Endpoint("http://a"), new Endpoint("http://b")];
    const { lanes } = open(folder());
    const sinks = [a, b].map((each) => attach(lanes, each, each.sink()));
    const fanOut = createFanOut("traces", sinks, { mayDrop: true, log: () => {} });
    const sink = createProcessingSink("traces", createSwitch(fanOut), () => []);
    const { direct } = sink;
    b.away = true;
    const sent = [1, 2, 3].map((i) => direct!.send(bytes(`${i}`), 1));
    await until("one has them", () => a.got.length === 3);
    assert.equal(direct!.idle, true);
    a.away = true;
    sent.push(direct!.send(bytes("4"), 1));
    await until("both are waited for", () => direct!.idle === false);
    assert.equal(lanes.left, 0);
    a.away = b.away = false;
    assert.deepEqual(await Promise.all(sent), Array(4).fill(accept(1)));
    assert.deepEqual(fanOut.endpoints.map(({ queue }) => queue.totals.accepted), [0, 0]);
    await sink.close();
    lanes.close();
  });

  it("answer what tail sampling holds when it is stored, and count it once", async () => {
    const [a, b] = [new Endpoint("http://a"), new Endpoint("http://b")];
    const { lanes } = open(folder());
    const sinks = [a, b].map((each) => attach(lanes, each, each.sink()));
    const inner = createFanOut("traces", sinks, { mayDrop: true, log: () => {} });
    const sink = createTailSamplingSink(inner, () => null, 10);
    let accepted = 0;
    sink.later!((outcome) => accepted += outcome.accepted);
    const outcome = await sink.send(bytes("x"), 1);
    assert.deepEqual([outcome.accepted, outcome.stored], [0, 1]);
    await until("both have it", () => lanes.left === 0);
    assert.equal(accepted, 1);
    await sink.close();
    lanes.close();
  });

  it("are passed on to the sinks of a new configuration, which the old ones don't end", async () => {
    const a = new Endpoint("http://a");
    const { lanes } = open(folder());
    a.away = true;
    const first = attach(lanes, a, a.sink());
    for (const text of "abc") await first.send(bytes(text), 1);
    const second = attach(lanes, a, a.sink());
    await second.send(bytes("d"), 1);
    first.abort("the configuration has changed");
    await first.close();
    a.away = false;
    await until("it has all", () => lanes.left === 0);
    assert.deepEqual([...new Set(a.got)], [..."abcd"]);
    await second.close();
    assert.equal(lanes.has(placeOfEndpoint("traces", a.url)), false);
    lanes.close();
  });

  it("goes on without one that can't be opened, and says so", () => {
    const dir = folder();
    const a = new Endpoint("http://a");
    const { lanes, lines } = open(dir);
    writeFileSync(join(dir, "endpoints"), "");
    const sink = a.sink();
    assert.equal(attach(lanes, a, sink), sink);
    assert.match(lines[0], /^warn the spool \S+ can't be used: .*http:\/\/a does not keep up/);
    lanes.close();
  });
});

describe("what is left for an endpoint that is named no longer", () => {
  /** A spool with requests of about 1,000 bytes. */
  function leave(dir: string, count: number): void {
    const spool = openSpool(dir, { maxBytes: 2 ** 20, segmentBytes: 5000 });
    for (let i = 0; i < count; i++) spool.put("logs", new Uint8Array(1000), 1);
    spool.close();
  }
  const left = (dir: string): number => {
    const spool = openSpool(dir);
    spool.close();
    return spool.counts.logs.waiting.requests;
  };

  it("takes room, but not all, is said once, and gives way when it is named again", () => {
    const dir = folder();
    leave(join(dir, "one"), 50);
    leave(join(dir, "used"), 50);
    mkdirSync(join(dir, "empty"));
    const lines: string[] = [];
    const budget = { maxBytes: 50_000 };
    const leftovers = createLeftovers(
      { folder: dir, budget, maxAgeMs: 1e6, log: (level, line) => lines.push(`${level} ${line}`) },
      (name) => name === "used",
    );
    leftovers.look();
    leftovers.look();
    assert.equal(lines.length, 1, lines.join("\n"));
    assert.ok(lines[0].startsWith(`warn 50 requests wait in ${dir}/one for an`), lines[0]);
    assert.equal(left(join(dir, "one")), 50);
    assert.equal(budget.maxBytes, 25_000);
    leftovers.free("one");
    assert.equal(budget.maxBytes, 50_000);
    assert.equal(left(join(dir, "used")), 50);
  });

  it("is dropped when it is too old", async () => {
    const dir = folder();
    leave(join(dir, "one"), 5);
    const lines: string[] = [];
    const leftovers = createLeftovers(
      { folder: dir, budget: { maxBytes: 1e6 }, maxAgeMs: 1, log: (_, line) => lines.push(line) },
      () => false,
    );
    await new Promise((wake) => setTimeout(wake, 20));
    leftovers.look();
    assert.match(lines.join("\n"), /^5 requests in \S+ were too old: dropped$/);
    assert.deepEqual(readdirSync(join(dir, "one", "logs")), []);
  });

  it("is left alone while another collector sends it", () => {
    const dir = folder();
    const other = openSpool(join(dir, "one"));
    other.put("logs", new Uint8Array(10), 1);
    const lines: string[] = [];
    createLeftovers(
      { folder: dir, budget: { maxBytes: 1e6 }, maxAgeMs: 1e6, log: (_, line) => lines.push(line) },
      () => false,
    ).look();
    assert.deepEqual(lines, []);
    assert.equal(other.next("logs")!.body.length, 10);
    other.close();
  });
});
