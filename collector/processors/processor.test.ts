import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Signal } from "../../lib/otlp/request.ts";
import { MAX_DEPTH } from "../../lib/otlp/values.ts";
import { ConfigFile } from "../../lib/metrics/yaml-fields.ts";
import { fromOtlpJson, toOtlpJson } from "../text/otlp-json.ts";
import { readProcessors } from "../config/processors.ts";
import { type Processor, processRequest } from "./processor.ts";
import { createProcessingSink } from "./sink.ts";

function read(yaml: string): { processors: Processor[]; problems: readonly string[] } {
  const file = new ConfigFile(yaml, "file.yaml");
  const top = file.fields(file.root, "", null, ["processors"]);
  return { processors: readProcessors(file, top.get("processors")), problems: file.problems };
}

function processors(yaml: string): Processor[] {
  const { processors, problems } = read(yaml);
  assert.deepEqual(problems, []);
  return processors;
}

type Json = Record<string, unknown>;

function attributes(values: Record<string, unknown>): Json[] {
  return Object.entries(values).map(([key, value]) => ({ key, value: valueOf(value) }));
}

function valueOf(value: unknown): Json {
  if (typeof value === "number") return { intValue: String(value) };
  if (typeof value === "boolean") return { boolValue: value };
  if (Array.isArray(value)) return { arrayValue: { values: value.map(valueOf) } };
  if (typeof value === "object") {
    return { kvlistValue: { values: attributes(value as Record<string, unknown>) } };
  }
  return { stringValue: value };
}

const REQUESTS: Readonly<Record<Signal, Json>> = {
  traces: {
    resourceSpans: [{
      resource: { attributes: attributes({ "service.name": "shop", "user.email": "r@x" }) },
      scopeSpans: [{
        scope: { name: "http", attributes: attributes({ "user.email": "s@x" }) },
        spans: [
          {
            name: "GET /health",
            kind: 2,
            startTimeUnixNano: "1000",
            endTimeUnixNano: "2000",
            attributes: attributes({ "http.route": "/health", code: 200 }),
          },
          {
            name: "GET /cart",
            kind: 3,
            startTimeUnixNano: "1000",
            endTimeUnixNano: "900001000",
            attributes: attributes({
              "user.email": "a@x",
              old: 1,
              deep: { "user.email": "d@x", list: [{ "user.email": "l@x" }] },
            }),
            events: [{ name: "e", attributes: attributes({ "user.email": "e@x" }) }],
            links: [{ attributes: attributes({ "user.email": "k@x" }) }],
            status: { code: 2 },
          },
        ],
      }],
    }],
  },
  logs: {
    resourceLogs: [{
      resource: { attributes: attributes({ "service.name": "shop" }) },
      scopeLogs: [{
        logRecords: [
          { severityNumber: 5, body: { stringValue: "debugging" } },
          { severityNumber: 17, body: valueOf({ "user.email": "b@x", rest: 1 }), eventName: "e" },
          { body: { stringValue: "no severity" } },
        ],
      }],
    }],
  },
  metrics: {
    resourceMetrics: [{
      resource: { attributes: attributes({ "service.name": "shop" }) },
      scopeMetrics: [{
        metrics: [
          { name: "queue.size", gauge: { dataPoints: [{ attributes: attributes({ q: "a" }) }] } },
          {
            name: "requests",
            sum: {
              aggregationTemporality: 2,
              dataPoints: [
                {
                  attributes: attributes({ route: "/a" }),
                  exemplars: [{ filteredAttributes: attributes({ "user.email": "x@x" }) }],
                },
                { attributes: attributes({ route: "/b" }) },
              ],
            },
          },
        ],
      }],
    }],
  },
};

/** The request after processing, and how many items it says there are. */
function run(signal: Signal, yaml: string): { json: string; items: number } {
  const body = fromOtlpJson(signal, JSON.stringify(REQUESTS[signal]));
  const processed = processRequest(signal, body, processors(yaml));
  return { json: toOtlpJson(signal, processed.body), items: processed.items };
}

/** Everything of a kind in it. */
function all(json: string, pattern: RegExp): string[] {
  return [...json.matchAll(pattern)].map((match) => match[1]);
}

const names = (json: string): string[] => all(json, /"name":"((?:GET|queue|requests)[^"]*)"/g);

describe("processors", () => {
  it("leave a request as it is where nothing fits", () => {
    const yaml = `processors:
      - drop: {where: {service: other}}
      - redact: {attributes: [nothing*]}`;
    for (const signal of ["traces", "logs", "metrics"] as const) {
      const body = fromOtlpJson(signal, JSON.stringify(REQUESTS[signal]));
      const processed = processRequest(signal, body, processors(yaml));
      assert.equal(toOtlpJson(signal, processed.body), toOtlpJson(signal, body));
      assert.equal(processed.items, signal === "traces" ? 2 : 3);
    }
  });

  it("drop spans by each condition, and keep the others", () => {
    const health = [
      "{name: 'GET /he*'}",
      "{attributes: {http.route: /health}}",
      "{attributes: {code: 200}}",
      "{kind: server}",
      "{status: unset}",
      "{service: sh?p, scope: http, kind: server}",
      "[{service: other}, {kind: server}]",
    ];
    for (const where of health) {
      const dropped = run("traces", `processors: [{drop: {where: ${where}}}]`);
      assert.deepEqual([names(dropped.json), dropped.items], [["GET /cart"], 1], where);
      const kept = run("traces", `processors: [{keep: {where: ${where}}}]`);
      assert.deepEqual([names(kept.json), kept.items], [["GET /health"], 1], where);
    }
    const cart = ["{min_duration: 900ms}", "{status: error}", "{attributes: {old: '?'}}"];
    for (const where of cart) {
      const dropped = run("traces", `processors: [{drop: {where: ${where}}}]`);
      assert.deepEqual(names(dropped.json), ["GET /health"], where);
    }
    assert.equal(run("traces", "processors: [{drop: {where: {min_duration: 901ms}}}]").items, 2);
  });

  it("leave nothing of what they drop: no empty scopes, resources or metrics", () => {
    for (const signal of ["traces", "logs", "metrics"] as const) {
      const { json, items } = run(signal, "processors: [{drop: {where: {service: shop}}}]");
      assert.deepEqual([json, items], ["{}", 0]);
    }
    const { json, items } = run("metrics", "processors: [{drop: {where: {attributes: {q: a}}}}]");
    assert.deepEqual([names(json), items], [["requests"], 2]);
  });

  it("drop log records by severity and body; those of unknown severity are not below any", () => {
    const bodies = (yaml: string): number => run("logs", yaml).items;
    assert.equal(bodies("processors: [{drop: {where: {severity_below: warn}}}]"), 2);
    assert.equal(bodies("processors: [{drop: {where: {severity_at_least: error}}}]"), 2);
    assert.equal(bodies("processors: [{drop: {where: {body: debug*}}}]"), 2);
    assert.equal(bodies("processors: [{keep: {where: {name: e}}}]"), 1);
  });

  it("say nothing of other signals than they name", () => {
    const yaml = "processors: [{keep: {where: {signals: [traces], kind: server}}}]";
    assert.equal(run("traces", yaml).items, 1);
    assert.equal(run("logs", yaml).items, 3);
    assert.equal(run("metrics", yaml).items, 3);
  });

  it("say nothing of signals that a condition can't be about", () => {
    const yaml = "processors: [{keep: {where: {severity_at_least: warn}}}]";
    assert.deepEqual(
      [run("logs", yaml), run("traces", yaml), run("metrics", yaml)].map(
        ({ items }) => items,
      ),
      [1, 2, 3],
    );
  });

  it("ask a resource for what was recorded, whatever those before them made of it", () => {
    const { json } = run(
      "traces",
      `processors:
  - redact: {attributes: [service.name]}
  - remove: {where: {service: shop}, attributes: [user.email]}`,
    );
    assert.doesNotMatch(json, /@x/);
  });

  it("reach as deep as values may be", () => {
    let value: Json = { stringValue: "deep" };
    for (let i = 0; i < MAX_DEPTH; i++) value = { kvlistValue: { values: [{ key: "k", value }] } };
    const log = { resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: value }] }] }] };
    const body = fromOtlpJson("logs", JSON.stringify(log));
    const all = processors("processors: [{redact: {attributes: [none]}}]");
    assert.match(toOtlpJson("logs", processRequest("logs", body, all).body), /"deep"/);
  });

  it("compare numbers as they are written, or say that they can't", () => {
    assert.deepEqual(
      read(`processors:
  - drop: {where: {resource: {version: 1.10, zip: 0123}, attributes: {id: 12345678901234567890}}}
  - drop: {where: {attributes: {code: 200, rate: 0.5, ok: true, quoted: "1.10"}}}`).problems,
      [
        "file.yaml:2:40: processors[0].drop.where.resource.version: 1.10 would be 1.1: " +
        "put it in quotes",
        "file.yaml:2:51: processors[0].drop.where.resource.zip: 0123 would be 123: " +
        "put it in quotes",
        "file.yaml:2:75: processors[0].drop.where.attributes.id: 12345678901234567890 would be " +
        "12345678901234567000: put it in quotes",
      ],
    );
  });

  it("redact, hash and remove wherever a key occurs", () => {
    const secrets = ["r@x", "s@x", "a@x", "d@x", "l@x", "e@x", "k@x"];
    const redacted = run("traces", "processors: [{redact: {attributes: ['*.email'], by: gone}}]");
    const removed = run("traces", "processors: [{remove: {attributes: [user.email]}}]");
    for (const secret of secrets) {
      assert.ok(!redacted.json.includes(secret), secret);
      assert.ok(!removed.json.includes(secret), secret);
    }
    assert.equal(all(redacted.json, /"(gone)"/g).length, secrets.length);
    assert.equal(all(removed.json, /(user\.email)/g).length, 0);
    const hashed = run("traces", "processors: [{hash: {attributes: [user.email]}}]");
    for (const secret of secrets) {
      assert.ok(hashed.json.includes(createHash("sha256").update(secret).digest("hex")), secret);
    }
    const rest = "processors: [{redact: {attributes: [user.email]}}]";
    assert.deepEqual(all(run("logs", rest).json, /"user.email","value":(\{[^}]*\})/g), [
      '{"stringValue":"[redacted]"}',
    ]);
    assert.ok(!run("metrics", rest).json.includes("x@x"));
  });

  it("hash with a secret from a file", () => {
    const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-processors-"));
    try {
      const path = join(directory, "secret");
      writeFileSync(path, "pepper\n");
      const { json } = run(
        "traces",
        `processors: [{hash: {attributes: [old], secret_file: "${path}"}}]`,
      );
      const wanted = createHmac("sha256", "pepper").update("1").digest("hex");
      assert.deepEqual(all(json, /"old","value":\{"stringValue":"([^"]*)"/g), [wanted]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it("rename and set, the resource only where the condition is about it", () => {
    const renamed = run("traces", "processors: [{rename: {attributes: {old: new, code: old}}}]");
    assert.deepEqual(all(renamed.json, /"key":"(old|new|code)"/g), ["old", "new"]);
    const taken = run("traces", "processors: [{rename: {attributes: {old: user.email}}}]");
    assert.ok(taken.json.includes("a@x") && !taken.json.includes('"old"'));
    const set = run(
      "traces",
      "processors: [{set: {where: {kind: client}, attributes: {old: two, n: 3, f: 0.5, y: true}}}]",
    );
    assert.deepEqual(all(set.json, /"key":"(?:old|n|f|y)","value":(\{[^}]*\})/g), [
      '{"stringValue":"two"}',
      '{"intValue":"3"}',
      '{"doubleValue":0.5}',
      '{"boolValue":true}',
    ]);
    const some = run(
      "traces",
      "processors: [{remove: {where: {kind: client}, attributes: [user.email]}}]",
    );
    assert.ok(some.json.includes("r@x") && some.json.includes("s@x"));
    const group = run(
      "traces",
      "processors: [{remove: {where: {service: shop}, attributes: [user.email]}}]",
    );
    assert.equal(all(group.json, /(user\.email)/g).length, 0);
  });

  it("swap names, and leave one that stays as it is", () => {
    const { json } = run(
      "traces",
      `processors:
  - rename: {attributes: {http.route: code, code: http.route, user.email: user.email}}`,
    );
    assert.match(json, /"key":"code","value":\{"stringValue":"\/health"/);
    assert.match(json, /"key":"http.route","value":\{"intValue":"200"/);
    assert.match(json, /a@x/);
  });

  it("see what those before them made", () => {
    const { items } = run(
      "traces",
      `processors:
        - rename: {attributes: {old: fresh}}
        - drop: {where: {attributes: {fresh: 1}}}`,
    );
    assert.equal(items, 1);
  });

  it("are refused with what is wrong, by line", () => {
    const { problems } = read(`processors:
  - drop: {}
  - redact: {}
  - redact: {attributes: []}
  - shrink: {attributes: [a]}
  - {drop: {where: {kind: odd}}, keep: {where: {name: a}}}
  - drop: {where: {kind: odd, min_duration: []}}
  - drop: {where: {severity_below: loud, min_duration: 5x, nothing: 1}}
  - hash: {attributes: [a], secret_file: /nowhere/at/all}
  - set: {attributes: {a: [1]}}
  - rename: {attributes: {a: ""}}
`);
    assert.deepEqual(problems, [
      `file.yaml:2:11: processors[0].drop: needs "where": without one it would be about everything`,
      "file.yaml:3:13: processors[1].redact: has no attributes",
      "file.yaml:4:26: processors[2].redact.attributes: must not be empty",
      "file.yaml:5:5: processors[3].shrink: no such field; there is drop, keep, redact, hash, " +
      "remove, rename or set",
      "file.yaml:6:5: processors[4]: must be one of drop, keep, redact, hash, remove, rename, set, " +
      "and one only",
      `file.yaml:7:26: processors[5].drop.where.kind: "odd" is none of internal, server, client, ` +
      "producer or consumer",
      "file.yaml:7:45: processors[5].drop.where.min_duration: must be a text, a number, true or false, is a list",
      "file.yaml:8:60: processors[6].drop.where.nothing: no such field; there is signals, service, " +
      "resource, scope, name, attributes, kind, status, min_duration, severity_at_least, " +
      "severity_below or body",
      `file.yaml:8:56: processors[6].drop.where.min_duration: "5x" is no duration such as 10s`,
      `file.yaml:8:36: processors[6].drop.where.severity_below: "loud" is none of trace, debug, ` +
      "info, warn, error or fatal",
      "file.yaml:9:42: processors[7].hash.secret_file: /nowhere/at/all can't be read: there " +
      "is no such file",
      "file.yaml:10:27: processors[8].set.attributes.a: must be a text, a number, true or false, " +
      "is a list",
      "file.yaml:11:30: processors[9].rename.attributes.a: must not be empty",
    ]);
  });
});

describe("a sink with processors", () => {
  it("sends what is left, and counts what is not", async () => {
    const sent: string[] = [];
    let current = processors("processors: [{drop: {where: {kind: server}}}]");
    const sink = createProcessingSink("traces", {
      send(body, items) {
        sent.push(`${items} ${names(toOtlpJson("traces", body))}`);
        return Promise.resolve({ accepted: items, rejected: 0, dropped: 0 });
      },
      abort: () => {},
      close: () => Promise.resolve(),
    }, () => current);
    const body = fromOtlpJson("traces", JSON.stringify(REQUESTS.traces));
    const one = { accepted: 1, rejected: 0, dropped: 0, filtered: 1 };
    assert.deepEqual(await sink.send(body, 2), one);
    current = processors("processors: [{drop: {where: {service: shop}}}]");
    assert.deepEqual(await sink.send(body, 2), { ...one, accepted: 0, filtered: 2 });
    current = [];
    assert.deepEqual(await sink.send(body, 2), { accepted: 2, rejected: 0, dropped: 0 });
    assert.deepEqual(sent, ["1 GET /cart", "2 GET /health,GET /cart"]);
    // What can't be processed goes nowhere, and the collector goes on.
    current = processors("processors: [{redact: {attributes: [a]}}]");
    const { dropped, reason } = await sink.send(Uint8Array.of(0xff), 7);
    assert.equal(dropped, 7);
    assert.match(reason!, /can't be processed/);
  });
});
