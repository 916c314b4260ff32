/**
 * A made-up shop whose telemetry the page is tried on: services that call each other, one that was
 * killed, and one whose names are hostile.
 *
 * @module
 */
import type {
  Attribute,
  Kind,
  Log,
  Loss,
  Resource,
  Scope,
  Span,
  Status,
  Value,
} from "../../store/queries/types.ts";
import type { OpenSpan } from "../live-types.ts";
import type { LiveProcess } from "../live-types.ts";
import { type FakeStream, makeMetrics } from "./metrics.ts";
import { hex, type Random, seeded, tailed } from "./random.ts";

/** Texts that a page must show and never obey. */
export const HOSTILE: readonly string[] = [
  `<script>document.title = "owned"</script>`,
  `<img src=x onerror="document.title='owned'">`,
  `"><svg onload=document.title='owned'>`,
  `javascript:document.title='owned'`,
  "bell \u0007 escape \u001b[31m red, null \u0000 and \u202egnp.exe reversed",
  "line\nbreaks\r\nand\ttabs",
  "\ud83d\ude00 half a pair \ud83d",
  "__proto__",
  "x".repeat(1_200_000),
];

/** Everything that is answered from. Times are nanoseconds. */
export interface Data {
  readonly nowMs: number;
  readonly resources: Resource[];
  readonly scopes: Scope[];
  readonly spans: Span[];
  readonly logs: Log[];
  readonly streams: FakeStream[];
  readonly losses: Loss[];
  readonly processes: LiveProcess[];
  readonly open: OpenSpan[];
  /** The resource that was killed. */
  readonly crashed: number;
  /** Traces that tests name. */
  readonly big: string;
  readonly hostile: string;
  readonly interrupted: string;
  readonly growing: string;
}

/** A value of OTLP of a value of JavaScript. */
export function otlp(value: string | number | boolean | readonly string[]): Value {
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  if (typeof value === "number") {
    return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
  }
  return { arrayValue: { values: value.map(otlp) } };
}

/** Attributes of an object. */
export function attributes(
  object: Readonly<Record<string, string | number | boolean | readonly string[]>>,
): Attribute[] {
  return Object.entries(object).map(([key, value]) => ({ key, value: otlp(value) }));
}

/** Who calls whom, in what, and how long it takes of its own, in ms. */
interface Step {
  readonly service: string;
  readonly name: string;
  readonly ms: number;
  readonly kind?: Kind;
  readonly calls?: readonly Step[];
}

const SHOP: readonly Step[] = [
  {
    service: "shop-web",
    name: "GET /items",
    ms: 4,
    kind: "server",
    calls: [
      {
        service: "catalog",
        name: "GET /catalog/items",
        ms: 6,
        kind: "server",
        calls: [
          { service: "catalog", name: "SELECT items", ms: 9, kind: "client" },
          { service: "search", name: "query", ms: 7, kind: "server" },
        ],
      },
      { service: "pricing", name: "prices.Get", ms: 5, kind: "server" },
    ],
  },
  {
    service: "shop-web",
    name: "POST /checkout",
    ms: 8,
    kind: "server",
    calls: [
      {
        service: "cart",
        name: "GET /cart/:id",
        ms: 3,
        kind: "server",
        calls: [
          { service: "cart", name: "redis GET", ms: 1, kind: "client" },
        ],
      },
      {
        service: "checkout",
        name: "POST /orders",
        ms: 12,
        kind: "server",
        calls: [
          { service: "pricing", name: "prices.Total", ms: 6, kind: "server" },
          {
            service: "inventory",
            name: "reserve",
            ms: 9,
            kind: "server",
            calls: [
              { service: "inventory", name: "UPDATE stock", ms: 14, kind: "client" },
            ],
          },
          {
            service: "payment",
            name: "charge card",
            ms: 60,
            kind: "server",
            calls: [
              {
                service: "payment",
                name: "POST https://bank.example/charge",
                ms: 120,
                kind: "client",
              },
            ],
          },
          { service: "mailer", name: "order.confirmed", ms: 25, kind: "consumer" },
        ],
      },
    ],
  },
  {
    service: "shop-web",
    name: "GET /health",
    ms: 0.3,
    kind: "server",
  },
];

function services(step: Step): string[] {
  return [step.service, ...(step.calls ?? []).flatMap(services)];
}

/** What is being made. */
interface Making {
  readonly random: Random;
  readonly resourceOf: Map<string, number>;
  readonly spans: Span[];
  readonly logs: Log[];
}

function addLog(
  making: Making,
  at: number,
  severity: number,
  text: string,
  span: { traceId: string; spanId: string; service: string; resourceId: number },
): void {
  const ns = String(BigInt(Math.round(at * 1000)) * 1000n);
  making.logs.push({
    id: 0,
    timeNs: ns,
    observedNs: ns,
    severity,
    severityText: ["", "DEBUG", "INFO", "WARN", "ERROR"][Math.ceil(severity / 4) - 1] ?? "FATAL",
    eventName: "",
    body: otlp(text),
    attributes: attributes({ "code.file.path": "src/orders.ts", "order.id": making.logs.length }),
    traceId: span.traceId,
    spanId: span.spanId,
    service: span.service,
    resourceId: span.resourceId,
    scopeId: 1,
  });
}

/** Adds a step with what it calls; gives the end, ms. */
function addStep(
  making: Making,
  step: Step,
  traceId: string,
  parentSpanId: string,
  startMs: number,
  failing: boolean,
): number {
  const { random } = making;
  const spanId = hex(random, 16);
  const place = making.spans.length;
  // Holds the place: parents come before their children, as by start.
  making.spans.push(undefined as unknown as Span);
  let at = startMs + tailed(random, step.ms) * 0.4;
  let end = at;
  for (const call of step.calls ?? []) {
    // A third of the calls run beside the one before.
    const begin = random() < 0.35 ? startMs + (at - startMs) * random() : at;
    const until = addStep(making, call, traceId, spanId, begin + 0.2, failing && random() < 0.6);
    at = Math.max(at, until + random());
    end = Math.max(end, until);
  }
  end += tailed(random, step.ms) * 0.6;
  const failed = failing && random() < 0.7;
  const resourceId = making.resourceOf.get(step.service)!;
  const ns = (ms: number): string => String(BigInt(Math.round(ms * 1000)) * 1000n);
  const span: Span = {
    id: 0,
    traceId,
    spanId,
    parentSpanId,
    name: step.name,
    service: step.service,
    kind: step.kind ?? "internal",
    status: failed ? "error" : "unset",
    startNs: ns(startMs),
    durationNs: Math.round((end - startMs) * 1e6),
    interrupted: false,
    resourceId,
    scopeId: 1,
    statusMessage: failed ? `${step.name}: connection refused by 10.0.0.17:5432` : "",
    traceState: "",
    flags: 257,
    attributes: attributes({
      "http.request.method": step.name.split(" ")[0]!,
      "http.route": step.name.split(" ")[1] ?? "/",
      "http.response.status_code": failed ? 503 : 200,
      "server.address": `${step.service}.internal`,
      "customer.id": Math.floor(random() * 500),
      "cache.hit": random() < 0.5,
      "load.factor": Number(random().toFixed(4)) + 0.00001,
      "roles": ["reader", "buyer"],
    }),
    events: failed
      ? [{
        timeNs: ns(end - 0.1),
        name: "exception",
        attributes: attributes({
          "exception.type": "ConnectionError",
          "exception.message": "connection refused",
          "exception.stacktrace":
            "ConnectionError: connection refused\n    at connect (src/db.ts:41:9)\n    at query (src/db.ts:77:3)",
        }),
        droppedAttributes: 0,
      }]
      : random() < 0.2
      ? [{
        timeNs: ns(startMs + (end - startMs) * random()),
        name: "cache miss",
        attributes: attributes({ key: "item:1273" }),
        droppedAttributes: 0,
      }]
      : [],
    links: [],
    droppedAttributes: 0,
    droppedEvents: 0,
    droppedLinks: 0,
  };
  making.spans[place] = span;
  if (failed) addLog(making, end, 17, `${step.name} failed: connection refused, gave up`, span);
  else if (random() < 0.4) addLog(making, startMs + 0.5, 9, `${step.name} done for an order`, span);
  else if (random() < 0.1) addLog(making, startMs + 1, 13, `slow answer of ${step.service}`, span);
  return end;
}

/** A trace of many spans: a batch that goes through items, in three levels. */
function addBig(making: Making, traceId: string, startMs: number, size: number): void {
  const { random } = making;
  const make = (
    name: string,
    parent: string,
    start: number,
    ms: number,
    status: Status,
  ): string => {
    const spanId = hex(random, 16);
    making.spans.push({
      id: 0,
      traceId,
      spanId,
      parentSpanId: parent,
      name,
      service: parent === "" || name.startsWith("group")
        ? "batch"
        : random() < 0.7
        ? "catalog"
        : "search",
      kind: "internal",
      status,
      startNs: String(BigInt(Math.round(start * 1000)) * 1000n),
      durationNs: Math.round(ms * 1e6),
      interrupted: false,
      resourceId: making.resourceOf.get("batch")!,
      scopeId: 1,
      statusMessage: status === "error" ? "no such item" : "",
      traceState: "",
      flags: 1,
      attributes: attributes({ "item.number": making.spans.length, "item.kind": "book" }),
      events: random() < 0.05
        ? [{
          timeNs: String(BigInt(Math.round((start + ms / 2) * 1000)) * 1000n),
          name: "retry",
          attributes: [],
          droppedAttributes: 0,
        }]
        : [],
      links: [],
      droppedAttributes: 0,
      droppedEvents: 0,
      droppedLinks: 0,
    });
    return spanId;
  };
  const total = size * 1.2;
  const root = make("reindex everything", "", startMs, total, "unset");
  let made = 1;
  let at = startMs;
  while (made < size) {
    const inner = Math.min(size - made - 1, 3 + Math.floor(random() * 20));
    const ms = (inner + 1) * 1.15;
    const group = make(`group ${made}`, root, at, ms, "unset");
    made++;
    for (let i = 0; i < inner; i++, made++) {
      make(
        `item ${i}`,
        group,
        at + i * 1.1,
        0.3 + random() * 2,
        random() < 0.003 ? "error" : "unset",
      );
    }
    at += ms;
  }
}

/** Makes the data; `big` is the number of spans of the greatest trace. */
export function makeData(options: { seed: number; nowMs: number; big?: number }): Data {
  const { nowMs } = options;
  const random = seeded(options.seed);
  const names = [...new Set([...SHOP.flatMap(services), "batch", "<b>rude</b>"])];
  const resourceOf = new Map(names.map((name, i) => [name, i + 1]));
  const resources: Resource[] = names.map((service, i) => ({
    id: i + 1,
    service,
    attributes: attributes({
      "service.name": service,
      "service.version": "2.3.1",
      "process.pid": 4100 + i * 37,
      "process.runtime.name": i % 2 === 0 ? "deno" : "bun",
      "process.runtime.version": i % 2 === 0 ? "2.9.6" : "1.4.5",
      "host.name": "laptop",
    }),
  }));
  const scopes: Scope[] = [{ id: 1, name: "shop/http", version: "1.0.0", attributes: [] }];
  const making: Making = { random, resourceOf, spans: [], logs: [] };

  for (let i = 0; i < 260; i++) {
    const step = SHOP[i % 7 === 3 ? 2 : i % 2]!;
    const start = nowMs - 55 * 60_000 * (1 - i / 260) - random() * 5000;
    addStep(making, step, hex(random, 32), "", start, random() < 0.06);
  }

  const big = hex(random, 32);
  addBig(making, big, nowMs - 20 * 60_000, options.big ?? 10_000);

  // The process of checkout is killed in the middle of orders.
  const interrupted = hex(random, 32);
  const deathMs = nowMs - 4 * 60_000;
  const crashed = resourceOf.get("checkout")!;
  const chain = [
    { service: "shop-web", name: "POST /checkout", kind: "server" as Kind, at: 2400, cut: false },
    { service: "checkout", name: "POST /orders", kind: "server" as Kind, at: 2390, cut: true },
    { service: "checkout", name: "charge card", kind: "client" as Kind, at: 1900, cut: true },
    { service: "checkout", name: "sign request", kind: "internal" as Kind, at: 640, cut: true },
  ];
  for (let order = 0; order < 4; order++) {
    const traceId = order === 0 ? interrupted : hex(random, 32);
    let parent = "";
    for (const one of chain.slice(0, order === 0 ? 4 : 3)) {
      const at = one.at * (order === 0 ? 1 : 0.3 + random()) + order * 700;
      const start = deathMs - at;
      const spanId = hex(random, 16);
      making.spans.push({
        id: 0,
        traceId,
        spanId,
        parentSpanId: parent,
        name: one.name,
        service: one.service,
        kind: one.kind,
        status: one.cut ? "unset" : "error",
        startNs: String(BigInt(Math.round(start * 1000)) * 1000n),
        durationNs: Math.round((one.cut ? at : at + 30) * 1e6),
        interrupted: one.cut,
        resourceId: resourceOf.get(one.service)!,
        scopeId: 1,
        statusMessage: one.cut ? "" : "socket hang up",
        traceState: "",
        flags: 257,
        attributes: attributes({ "order.id": 7000 + order, "order.total": 129.9 }),
        events: one.name === "charge card"
          ? [1, 2, 3].map((attempt) => ({
            timeNs: String(BigInt(Math.round((deathMs - at * (1 - attempt / 4)) * 1000)) * 1000n),
            name: `attempt ${attempt}`,
            attributes: attributes({ attempt }),
            droppedAttributes: 0,
          }))
          : [],
        links: one.name === "POST /orders"
          ? [{ traceId: big, spanId: hex(random, 16), traceState: "", attributes: [] }]
          : [],
        droppedAttributes: 0,
        droppedEvents: 0,
        droppedLinks: 0,
      });
      parent = spanId;
      if (one.service === "checkout") {
        addLog(making, start + 2, 9, `order ${7000 + order}: ${one.name}`, making.spans.at(-1)!);
      }
    }
  }
  for (let i = 0; i < 70; i++) {
    const step: Step = {
      service: "checkout",
      name: i % 3 === 0 ? "POST /orders" : "GET /orders/:id",
      ms: 80,
      kind: "server",
    };
    addStep(
      making,
      step,
      hex(random, 32),
      "",
      deathMs - 29_000 + i * 400 + random() * 300,
      random() < 0.05,
    );
  }
  const dying = making.spans.find(({ traceId, name }) =>
    traceId === interrupted && name === "sign request"
  )!;
  [
    "heap at 91% of its limit",
    "heap at 96% of its limit",
    "garbage collection took 1.8 s",
    "heap limit reached",
  ]
    .forEach((text, i) =>
      addLog(making, deathMs - 1800 + i * 580, 13 + (i === 3 ? 8 : 0), text, dying)
    );

  const hostile = hex(random, 32);
  HOSTILE.forEach((text, i) => {
    addStep(
      making,
      { service: "<b>rude</b>", name: text, ms: 10, kind: "server" },
      hostile,
      "",
      nowMs - 60_000 + i,
      false,
    );
    const span = making.spans.at(-1)! as { -readonly [Key in keyof Span]: Span[Key] };
    span.attributes = attributes({ [text.slice(0, 1000)]: text, "x.text": text });
    span.events = [{
      timeNs: span.startNs,
      name: text,
      attributes: attributes({ text }),
      droppedAttributes: 3,
    }];
    span.statusMessage = text;
    span.traceState = text.slice(0, 300);
    addLog(making, nowMs - 30_000 + i, 9, text, span);
  });

  const byTime = <T extends { startNs?: string; timeNs?: string }>(list: T[]): T[] =>
    list.sort((a, b) => BigInt(a.startNs ?? a.timeNs!) < BigInt(b.startNs ?? b.timeNs!) ? -1 : 1);
  const spans = byTime(making.spans).map((span, id) => ({ ...span, id }));
  const logs = byTime(making.logs).map((log, id) => ({ ...log, id }));
  const losses: Loss[] = [
    {
      timeMs: deathMs - 900,
      process: "checkout",
      file: "checkout.ring",
      ring: "spans",
      reason: "full",
      count: 41,
    },
    {
      timeMs: deathMs,
      process: "checkout",
      file: "checkout.ring",
      ring: "spans",
      reason: "torn",
      count: 1,
    },
  ];
  const growing = hex(random, 32);
  const open: OpenSpan[] = ["GET /export", "render report"].map((name, i) => ({
    traceId: growing,
    spanId: i === 0 ? "00000000000000a1" : "00000000000000a2",
    parentSpanId: i === 0 ? "" : "00000000000000a1",
    name,
    service: "shop-web",
    kind: i === 0 ? "server" : "internal",
    status: "unset",
    startNs: String(BigInt(nowMs - 3000 + i * 800) * 1_000_000n),
    interrupted: false,
    resourceId: 1,
    statusMessage: "",
    traceState: "",
    flags: 1,
    attributes: attributes({ "report.rows": 120_000 }),
    events: [],
    links: [],
    droppedAttributes: 0,
    droppedEvents: 0,
    droppedLinks: 0,
  }));
  const ended = { traceId: growing, startNs: open[1]!.startNs };
  const report = {
    ...spans[0]!,
    ...ended,
    id: spans.length,
    spanId: "00000000000000a3",
    parentSpanId: "00000000000000a2",
  };
  spans.push({
    ...report,
    name: "SELECT rows",
    service: "shop-web",
    durationNs: 45e6,
    status: "unset",
    events: [],
  });
  const processes: LiveProcess[] = names.filter((name) => name !== "<b>rude</b>").map((
    service,
    i,
  ) => ({
    resourceId: resourceOf.get(service)!,
    service,
    pid: 4100 + i * 37,
    runtime: i % 2 === 0 ? "deno 2.9.6" : "bun 1.4.5",
    alive: service !== "checkout",
    crashed: service === "checkout",
    since: nowMs - 3_000_000 - i * 60_000,
    files: [{
      path: `/dev/shm/otlp-mmap-0/${service}.ring`,
      rings: ["spans", "span events", "measurements", "logs"].map((name, j) => ({
        name,
        fill: service === "batch" && j === 0 ? 0.97 : (i * 7 + j * 3) % 23 / 40,
        claimed: 12_000 + i * 713 * (j + 1),
        delivered: 12_000 + i * 713 * (j + 1) - (service === "checkout" && j === 0 ? 1 : 0),
        torn: service === "checkout" && j === 0 ? 1 : 0,
        refused: (service === "checkout" || service === "batch") && j === 0
          ? { full: 41 }
          : {} as Record<string, number>,
        lagMs: 12,
      })),
    }],
    openSpans: service === "shop-web" ? 2 : 0,
  }));
  return {
    nowMs,
    resources,
    scopes,
    spans,
    logs,
    streams: makeMetrics(random, resources, nowMs, deathMs, spans),
    losses,
    processes,
    open,
    crashed,
    big,
    hostile,
    interrupted,
    growing,
  };
}
