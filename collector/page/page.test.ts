/** The page of a real collector, over a program that lives and one that was killed. */
import assert from "node:assert/strict";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { startSink } from "../../tests/peers/sink.ts";
import { observe, type Observed, waitForSpans } from "../../tests/support/collector.ts";
import { type Program, startProgram } from "../../tests/support/programs.ts";
import { ownRuntime } from "../../tests/support/runtimes.ts";
import type {
  Crash,
  CrashReport,
  Log,
  Loss,
  MetricSeries,
  MetricStream,
  Overview,
  Paged,
  Resource,
  Span,
  SpanPoint,
  SpanSummary,
  Trace,
  TraceSummary,
} from "../store/queries/types.ts";
import type { Live, OpenSpan, TraceNow } from "./live-types.ts";
import { type Client, createClient, get } from "./testing/client.ts";

const root = mkdtempSync(join(tmpdir(), "otlp-mmap-page-"));
after(() => rmSync(root, { recursive: true }));

let count = 0;
/** A folder for files, and beside it one for what the collector keeps. */
function place(): { files: string; env: Record<string, string> } {
  const own = join(root, String(++count));
  const files = join(own, "files");
  mkdirSync(files, { recursive: true, mode: 0o700 });
  return { files, env: { XDG_STATE_HOME: join(own, "state") } };
}

const PAGE = /^page: (http:\S+)$/m;

function collector(args: readonly string[], env: Record<string, string>): Observed {
  return observe(ownRuntime, "collector/main.ts", ["collect", ...args], { env });
}

async function addressOf(started: Observed): Promise<string> {
  await started.wrote(PAGE);
  return PAGE.exec(started.text())![1];
}

/** Asks until the answer is as wanted; fails after 30 s. */
async function eventually<T>(ask: () => Promise<T>, isSo: (answer: T) => boolean): Promise<T> {
  for (const deadline = Date.now() + 30_000;;) {
    const answer = await ask();
    if (isSo(answer)) return answer;
    if (Date.now() > deadline) assert.fail(`still ${JSON.stringify(answer).slice(0, 3000)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe("the page of a collector without an endpoint", () => {
  let started: Observed;
  let client: Client;
  let shop: Program;
  let stock: Program;
  let crashed: Resource;
  const { files, env } = place();

  before(async () => {
    started = collector(["--ui-port", "0", "--metrics-interval", "200ms", files], env);
    client = await createClient(await addressOf(started));
    shop = await startProgram("shown.ts", files, "shop");
    stock = await startProgram("shown.ts", files, "stock");
    await eventually(
      () => client.ask<MetricStream[]>("metrics"),
      (streams) => new Set(streams.map(({ service }) => service)).size === 2,
    );
    await stock.stop("kill");
    const [crash] = await eventually(() => client.ask<Crash[]>("crashes"), (all) => all.length > 0);
    crashed = crash.resource;
  });
  after(async () => {
    await shop?.stop();
    await started?.stop();
  });

  it("knows services, names, keys and resources", async () => {
    assert.deepEqual(await client.ask("services"), ["shop", "stock"]);
    const names = await client.ask<string[]>("span-names", "span-names?service=stock");
    assert.deepEqual(names, ["GET /items", "never ends", "query"]);
    assert((await client.ask<string[]>("attribute-keys")).includes("http.route"));
    const resources = await client.ask<Resource[]>("resources");
    assert.deepEqual(resources.map(({ service }) => service).sort(), ["shop", "stock"]);
    const state = await client.ask<{ spans: number; version: string; endpoints: string[] }>(
      "state",
    );
    assert(state.spans >= 81 && state.endpoints.length === 0);
  });

  it("finds spans by everything there is to find them by", async () => {
    const find = async (query: string): Promise<readonly SpanSummary[]> =>
      (await client.ask<Paged<SpanSummary>>("spans", `spans?${query}`)).rows;
    const attribute = (text: string) => `attribute=${encodeURIComponent(text)}`;
    assert.equal((await find("service=shop&name=GET%20%2Fitems")).length, 20);
    assert.equal((await find("service=shop&service=stock&nameContains=ITEMS")).length, 40);
    assert.equal((await find(`${attribute('http.route="/items"')}&${attribute("n=3")}`)).length, 2);
    assert.equal((await find(attribute("n=3.0"))).length, 0);
    assert.equal((await find(attribute('n="3"'))).length, 0);
    assert.equal((await find(`${attribute("ok=false")}&service=shop`)).length, 4);
    assert.equal((await find("status=error&kind=server&service=shop")).length, 4);
    assert.equal((await find("kind=client&root=true")).length, 0);
    assert.deepEqual((await find("interrupted=true")).map(({ service }) => service), ["stock"]);
    assert.equal((await find("maxDurationNs=0&minDurationNs=1")).length, 0);
    assert.equal((await find(`to=${Date.now() - 3_600_000}`)).length, 0);
    assert.equal((await find(`from=${Date.now() - 3_600_000}&limit=1000`)).length >= 81, true);
  });

  it("pages through all of them", async () => {
    const seen: number[] = [];
    for (let cursor = "";;) {
      const path = `spans?service=shop&limit=7${cursor && `&cursor=${encodeURIComponent(cursor)}`}`;
      const { next, rows } = await client.ask<Paged<SpanSummary>>("spans", path);
      seen.push(...rows.map(({ id }) => id));
      if (next === null) break;
      cursor = next;
    }
    assert.equal(new Set(seen).size, seen.length);
    assert.equal(seen.length, 40);
    const span = await client.ask<Span>("spans/{id}", `spans/${seen[0]}`);
    assert.equal(span.id, seen[0]);
    await client.ask("spans/{id}", "spans/99999999", 404);
  });

  it("has traces, also as files for other programs", async () => {
    const { rows } = await client.ask<Paged<TraceSummary>>("traces", "traces?service=shop&limit=2");
    assert.equal(rows.length, 2);
    const path = `traces/${rows[0].traceId}`;
    const trace = await client.ask<Trace>("traces/{traceId}", path);
    assert.deepEqual(trace.spans.map(({ name }) => name).sort(), ["GET /items", "query"]);
    const otlp = await client.ask<{ resourceSpans: { scopeSpans: { spans: unknown[] }[] }[] }>(
      "traces/{traceId}/otlp.json",
      `${path}/otlp.json`,
    );
    const spans = otlp.resourceSpans.flatMap(({ scopeSpans }) =>
      scopeSpans.flatMap((s) => s.spans)
    );
    assert.equal(spans.length, 2);
    const { traceEvents } = await client.ask<{ traceEvents: { ph: string; name: string }[] }>(
      "traces/{traceId}/perfetto.json",
      `${path}/perfetto.json`,
    );
    const named = (phase: string) =>
      traceEvents.filter(({ ph }) => ph === phase).map(({ name }) => name).sort();
    assert.deepEqual(named("X"), ["GET /items", "query"]);
    assert.deepEqual(named("i"), ["row"]);
    await client.ask("traces/{traceId}", `traces/${"0".repeat(31)}1`, 404);
    await client.ask("traces/{traceId}", "traces/xyz", 400);
  });

  it("has figures over time", async () => {
    const overview = await client.ask<Overview>(
      "overview",
      `overview?from=${Date.now() - 600_000}&steps=5`,
    );
    assert.deepEqual(overview.services.map(({ service, requests }) => [service, requests]), [
      ["shop", 20],
      ["stock", 21],
    ]);
    const points = await client.ask<SpanPoint[]>("scatter", "scatter?service=shop&limit=5");
    assert.equal(points.length, 5);
  });

  it("finds log records, and counts them", async () => {
    const find = async (query: string): Promise<readonly Log[]> =>
      (await client.ask<Paged<Log>>("logs", `logs?${query}`)).rows;
    const [error] = await find("minSeverity=17&service=shop");
    assert.equal(error.body.stringValue, "about to fail");
    assert.equal((await find(`traceId=${error.traceId}&spanId=${error.spanId}`)).length, 1);
    assert.equal((await find("text=sold&service=shop")).length, 20);
    assert.equal((await find(`resourceId=${crashed.id}&text=fail`)).length, 1);
    const [first] = await find("afterId=-1&limit=1");
    const [second] = await find(`afterId=${first.id}&limit=1`);
    assert(second.id > first.id);
    const range = `from=${Date.now() - 600_000}&to=${Date.now() + 1000}`;
    const { steps } = await client.ask<{ steps: number[][] }>(
      "logs/histogram",
      `logs/histogram?${range}&steps=10&service=shop`,
    );
    assert.equal(steps.flat().reduce((sum, n) => sum + n, 0), 21);
    await client.ask("logs/histogram", "logs/histogram?steps=10", 400);
    await client.ask("logs", `logs?text=${encodeURIComponent('"')}`, 400);
  });

  it("charts metrics", async () => {
    const streams = await client.ask<MetricStream[]>("metrics");
    const took = streams.find(({ name, service }) => name === "took" && service === "shop")!;
    assert.equal(took.kind, "histogram");
    const series = await client.ask<MetricSeries[]>(
      "metrics/{streamId}",
      `metrics/${took.id}?from=${Date.now() - 600_000}&to=${Date.now() + 600_000}`,
    );
    assert.equal(series[0].points.at(-1)!.count, 20);
  });

  it("shows the last seconds of a process that was killed", async () => {
    const path = `crashes/${crashed.id}?seconds=60`;
    const report = await eventually(
      () => client.ask<CrashReport>("crashes/{resourceId}", path),
      ({ metrics }) => metrics.length > 0,
    );
    assert.equal(report.resource.service, "stock");
    assert.deepEqual(report.open.map(({ name }) => name), ["never ends"]);
    assert.equal(report.open[0].interrupted, true);
    assert.equal(report.ended.length, 40);
    assert.equal(report.logs.length, 21);
    assert.equal(report.logs.at(-1)!.body.stringValue, "about to fail");
    assert(report.metrics.some(({ stream }) => stream.name === "hits"));
    await client.ask("crashes/{resourceId}", "crashes/999999", 404);
  });

  it("knows who is alive, and which spans are open", async () => {
    const { processes } = await eventually(
      () => client.ask<Live>("live"),
      (live) => live.processes.every(({ resourceId }) => resourceId !== null),
    );
    const [alive, dead] = processes;
    assert.deepEqual([alive.service, alive.alive, alive.pid], ["shop", true, shop.process.pid]);
    assert.deepEqual([dead.service, dead.alive, dead.crashed], ["stock", false, true]);
    assert.equal(dead.resourceId, crashed.id);
    assert.equal(alive.openSpans, 1);
    assert.equal(alive.runtime, ownRuntime);
    const rings = alive.files[0].rings;
    assert.deepEqual(rings.map(({ name }) => name), ["events", "spans", "measurements"]);
    const traceId = await shop.ask<string>({});
    const open = await client.ask<OpenSpan[]>(
      "open-spans",
      `open-spans?traceId=${traceId}&limit=10`,
    );
    assert.equal(open.length, 1);
    const [{ attributes, events, name, resourceId }] = open;
    assert.deepEqual([name, resourceId], ["never ends", alive.resourceId]);
    assert.deepEqual(attributes, [{ key: "state", value: { stringValue: "second" } }]);
    assert.deepEqual(events.map((event) => event.name), ["half way"]);
    // Nothing of it is stored: what is there of it is what is open.
    const trace = await client.ask<TraceNow>("traces/{traceId}", `traces/${traceId}`);
    assert.deepEqual([trace.spans, trace.open], [[], open]);
    assert.equal(trace.resources[alive.resourceId!].service, "shop");
    await client.ask("traces/{traceId}/otlp.json", `traces/${traceId}/otlp.json`, 404);
    const other = await client.ask<OpenSpan[]>(
      "open-spans",
      `open-spans?traceId=${"1".repeat(32)}`,
    );
    assert.deepEqual(other, []);
  });

  it("says what is new by itself", async () => {
    const response = await fetch(`${client.url}/api/events`, {
      headers: { authorization: `Bearer ${client.token}` },
    });
    assert.equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    const said = async (isSo: (news: { lastSpan: number }[], live: Live[]) => boolean) => {
      for (;;) {
        const all = (name: string) =>
          [...text.matchAll(new RegExp(`^event: ${name}\ndata: (.*)\n\n`, "gm"))]
            .map(([, data]) => JSON.parse(data));
        if (isSo(all("news"), all("live"))) return;
        const { done, value } = await reader.read();
        assert(!done, text);
        text += value;
      }
    };
    await said((news, live) => news.length > 0 && live.length > 1);
    const { lastSpan } = await client.ask<{ lastSpan: number }>("state");
    await shop.ask({ more: 10 });
    await said((news) => news.at(-1)!.lastSpan >= lastSpan + 20);
    await reader.cancel();
  });

  it("counts what was lost", async () => {
    await shop.ask({ refuse: 1 });
    const losses = await eventually(
      () => client.ask<Loss[]>("losses", `losses?from=${Date.now() - 600_000}`),
      (all) => all.length > 0,
    );
    assert.equal(losses[0].process, `shop (${shop.process.pid})`);
    assert(losses.every(({ ring }) => ring === "spans"));
    assert(losses.every(({ reason }) => ["ring_full", "reserve"].includes(reason)));
    const total = losses.reduce((sum, { count }) => sum + count, 0);
    const { processes } = await client.ask<Live>("live");
    const refused = processes[0].files.flatMap(({ rings }) =>
      rings.flatMap((ring) => Object.values(ring.refused))
    ).reduce((sum, count) => sum + count, 0);
    assert(total > 0 && total <= refused, `${total} noted of ${refused}`);
  });

  it("was asked for everything that is described", () => {
    const routes = Object.keys(client.description.paths)
      .filter((path) => !path.endsWith("openapi.json") && !path.endsWith("events"));
    assert.deepEqual([...client.asked].sort(), routes.sort());
  });

  it("refuses what can't be asked, and says why", async () => {
    for (
      const [path, why] of [
        ["spans?limit=0", /limit must be a whole number from 1 to 1000/],
        ["spans?limit=1001", /limit/],
        ["spans?limit=1&limit=2", /limit can be given once only/],
        ["spans?stauts=ok", /there is no parameter of this name here; there is service, name/],
        ["spans?status=bad", /status must be one of unset, ok, error/],
        ["spans?attribute=x", /attribute must be key=value/],
        ["spans?from=yesterday", /from must be a number/],
        ["spans?root=1", /root must be true or false/],
        ["spans?cursor=nonsense", /./],
        ["logs?traceId=xyz", /traceId is not 32 hexadecimal digits/],
        [`spans?${"service=a&".repeat(300)}`, /too many parameters/],
      ] as const
    ) {
      const { error } = await client.ask<{ error: string }>(path.split("?")[0], path, 400);
      assert.match(error, why, path);
    }
  });

  it("says where it is once, and the token nowhere else", async () => {
    assert.equal(started.text().split(client.token).length, 2);
    const home = await get(client.url, `/?token=${client.token}`);
    assert.deepEqual([home.status, home.headers.location], [303, "/"]);
  });
});

describe("the crashes on the page", () => {
  it("are of all who did not end in order, whatever they recorded", async () => {
    const { files, env } = place();
    const started = collector(["--ui-port", "0", "--metrics-interval", "200ms", files], env);
    const programs: Program[] = [];
    try {
      const client = await createClient(await addressOf(started));
      const start = async (name: string, what: string): Promise<Program> => {
        const program = await startProgram("last-words.ts", files, name, what);
        programs.push(program);
        return program;
      };
      const [logger, meter, failing, lazy, good] = [
        await start("logger", "logs"),
        await start("meter", "metrics"),
        await start("failing", "logs"),
        await start("lazy", "metrics"),
        await start("good", "logs"),
      ];
      await logger.stop("kill");
      await meter.stop("kill");
      await failing.ask({ exit: 3 }).catch(() => {});
      await lazy.ask({ exit: 0 }).catch(() => {});
      await good.stop();
      await eventually(
        () => client.ask<Live>("live"),
        ({ processes }) => processes.length === 5 && processes.every(({ alive }) => !alive),
      );
      // Files are removed when all of them is stored.
      await eventually(() => Promise.resolve(readdirSync(files)), ({ length }) => length === 0);
      const crashes = await eventually(
        () => client.ask<Crash[]>("crashes"),
        ({ length }) => length >= 3,
      );
      const names = crashes.map(({ resource, interrupted }) => [resource.service, interrupted]);
      assert.deepEqual(names.sort(), [["failing", 0], ["logger", 0], ["meter", 0]]);
      const reportOf = (name: string): Promise<CrashReport> => {
        const { resource } = crashes.find((crash) => crash.resource.service === name)!;
        return client.ask<CrashReport>("crashes/{resourceId}", `crashes/${resource.id}`);
      };
      const words = await reportOf("logger");
      assert.deepEqual(words.logs.map(({ body }) => body.stringValue), ["the last words"]);
      assert.equal(words.lastNs, words.logs[0].timeNs);
      const measured = await reportOf("meter");
      const breaths = measured.metrics.find(({ stream }) => stream.name === "breaths")!;
      assert.equal(breaths.series[0].points.at(-1)!.value, 7);
      assert.deepEqual(
        (await client.ask<Live>("live")).processes.filter(({ crashed }) => crashed)
          .map(({ service }) => service).sort(),
        ["failing", "logger", "meter"],
      );
    } finally {
      for (const program of programs) await program.stop("kill");
      await started.stop();
    }
  });
});

describe("--ui", () => {
  it("goes without the page where its port is taken", async () => {
    const { files, env } = place();
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as { port: number };
    const started = collector(["--ui-port", String(port), files], env);
    const program = await startProgram("shown.ts", files, "shop");
    try {
      await started.wrote(
        /--ui-port 127\.0\.0\.1:\d+: another program listens there.*No page is served; all else goes on/,
      );
      await program.stop();
      // Its file is removed when all of it is stored.
      await eventually(() => Promise.resolve(readdirSync(files)), ({ length }) => length === 0);
      assert.equal((await started.stop()).code, 0, started.text());
      assert.match(started.text(), /: 41 delivered/);
    } finally {
      await program.stop();
      await started.stop();
      other.close();
    }
  });

  it("leaves everything where it is when the database can't be used", async () => {
    const { files, env } = place();
    const folder = join(env.XDG_STATE_HOME, "otlp-mmap");
    mkdirSync(folder, { recursive: true });
    const path = join(folder, "store.db");
    writeFileSync(path, "this is no database, and precious ".repeat(1000));
    const before = readFileSync(path);
    const program = await startProgram("shown.ts", files, "shop");
    try {
      const started = collector(["--ui-port", "0", files], env);
      assert.equal((await started.ended).code, 2, started.text());
      assert.match(started.text(), /is damaged, or no database/);
      assert.deepEqual(readFileSync(path), before);
      // What was recorded is still there for the next one.
      const next = collector([
        "--ui-port",
        "0",
        "--store",
        join(folder, "new.db"),
        "--ui",
        "127.0.0.1",
        files,
      ], env);
      const client = await createClient(await addressOf(next));
      const isThere = (services: string[]) => services.includes("shop");
      await eventually(() => client.ask<string[]>("services"), isThere);
      // A third one finds it in use.
      const third = collector(["--store", join(folder, "new.db"), files], env);
      assert.equal((await third.ended).code, 2, third.text());
      assert.match(third.text(), /is used by process \d+: end that collector/);
      await next.stop();
    } finally {
      await program.stop();
    }
  });

  it("stores beside an endpoint, which gets everything also where nothing can be stored", async () => {
    const { files, env } = place();
    const sink = await startSink();
    const path = join(files, "../store.db");
    const args = ["--ui", "--ui-port", "0", "--store", path, "--endpoint", sink.url, "--no-spool"];
    const both = collector([...args, files], env);
    const program = await startProgram("shown.ts", files, "shop");
    try {
      const client = await createClient(await addressOf(both));
      const isThere = (services: string[]) => services.includes("shop");
      await eventually(() => client.ask<string[]>("services"), isThere);
      const { endpoints } = await client.ask<{ endpoints: string[] }>("state");
      assert.equal(endpoints.length, 3);
      assert.equal((await waitForSpans(sink, 40)).length, 40);
      await both.stop();
      // What is in its log would be put back.
      for (const end of ["-wal", "-shm"]) rmSync(path + end, { force: true });
      writeFileSync(path, "no database ".repeat(1000));
      const without = collector([...args, files], env);
      await without.wrote(/is damaged, or no database[^]*nothing is stored, and no page is served/);
      await program.ask({ more: 5 });
      await waitForSpans(sink, 50);
      assert.equal((await without.stop()).code, 0, without.text());
    } finally {
      await both.stop();
      await program.stop();
      await sink.stop();
    }
  });

  it("puts its address into a file where lines are kept as JSON", async () => {
    const { files, env } = place();
    const started = collector([
      "--ui-port",
      "0",
      "--log-format",
      "json",
      "--log-level",
      "debug",
      files,
    ], env);
    await started.wrote(/the page is served at/);
    const path = join(env.XDG_STATE_HOME, "otlp-mmap", "store.db.page");
    const client = await createClient(readFileSync(path, "utf8").trim());
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(await client.ask("services"), []);
    await started.stop();
    assert(!started.text().includes(client.token));
    for (const line of started.text().trim().split("\n")) JSON.parse(line);
    assert.throws(() => statSync(path), { code: "ENOENT" });
  });
});
