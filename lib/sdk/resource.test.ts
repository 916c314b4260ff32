import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import * as peer from "@opentelemetry/resources";
import { runtime } from "../../ffi/mod.ts";
import { DETECTOR_NAMES, readEnvironment } from "./config.ts";
import { buildResource, SDK_VERSION } from "./resource.ts";

const NONE = readEnvironment({ OTEL_NODE_RESOURCE_DETECTORS: "none" });
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe("buildResource", () => {
  it("says which service and SDK it is, with every detector off", () => {
    assert.deepEqual(buildResource({ env: NONE }), {
      attributes: {
        "service.name": `unknown_service:${basename(process.execPath)}`,
        "telemetry.sdk.language": "nodejs",
        "telemetry.sdk.name": "otlp-mmap",
        "telemetry.sdk.version": SDK_VERSION,
      },
      schemaUrl: undefined,
      warnings: [],
    });
  });

  it("has the version of the package", () => {
    for (const name of ["package.json", "deno.json"]) {
      const text = readFileSync(new URL(`../../${name}`, import.meta.url), "utf8");
      assert.equal(JSON.parse(text).version, SDK_VERSION, name);
    }
  });

  it("finds what the standard detectors find, and the runtime it really is", () => {
    const { attributes, warnings } = buildResource({ env: readEnvironment({}) });
    assert.deepEqual(warnings, []);
    const expected: Record<string, unknown> = {};
    for (const detector of [peer.hostDetector, peer.osDetector, peer.processDetector]) {
      Object.assign(expected, detector.detect().attributes);
    }
    // Those that are asynchronous there, or wrong on these runtimes, or random.
    delete expected["host.id"];
    for (const key of ["name", "version", "description"]) delete expected[`process.runtime.${key}`];
    delete expected["process.executable.name"];
    if (expected["process.owner"] === "unknown") delete expected["process.owner"];
    for (const [key, value] of Object.entries(expected)) {
      assert.deepEqual(attributes[key], value, key);
    }
    assert.equal(attributes["process.executable.name"], basename(process.execPath));
    assert.ok(runtime.name !== "other");
    assert.equal(attributes["process.runtime.name"], runtime.name);
    assert.equal(attributes["process.runtime.version"], process.versions[runtime.name]);
    const version = spawnSync(process.execPath, ["--version"], { encoding: "utf8" }).stdout;
    assert.ok(version.includes(String(attributes["process.runtime.version"])), version);
    assert.match(String(attributes["service.instance.id"]), UUID);
    assert.ok(Object.values(attributes).every((value) => value !== undefined));
  });

  it("finds host.id as the standard detector does, where that is a file", {
    skip: process.platform === "linux" ? false : "machine-id files exist on Linux only",
  }, async () => {
    const expected = await peer.hostDetector.detect().attributes?.["host.id"];
    const env = readEnvironment({ OTEL_NODE_RESOURCE_DETECTORS: "host" });
    assert.equal(buildResource({ env }).attributes["host.id"], expected || undefined);
  });

  it("runs only the detectors asked for", () => {
    const prefixes: Record<string, RegExp> = {
      host: /^host\./,
      os: /^os\./,
      process: /^process\./,
      serviceinstance: /^service\.instance\.id$/,
    };
    for (const name of [...DETECTOR_NAMES, "env", "service", "none"]) {
      const env = readEnvironment({
        OTEL_NODE_RESOURCE_DETECTORS: name,
        OTEL_SERVICE_NAME: "shop",
        OTEL_RESOURCE_ATTRIBUTES: "a=b",
      });
      const { attributes } = buildResource({ env });
      // What the environment says is no matter of detectors.
      assert.equal(attributes["service.name"], "shop");
      assert.equal(attributes.a, "b");
      const detector = name === "service" ? "serviceinstance" : name;
      for (const [other, pattern] of Object.entries(prefixes)) {
        const found = Object.keys(attributes).some((key) => pattern.test(key));
        assert.equal(found, other === detector, `${other} with only ${name}`);
      }
    }
  });

  it("gives the program's attributes precedence over the environment's over the detectors'", () => {
    const env = readEnvironment({
      OTEL_SERVICE_NAME: "from-name",
      OTEL_RESOURCE_ATTRIBUTES: "service.name=from-attributes,host.name=h,x=env,y=env,os.type=env",
    });
    const detectors = [
      { detect: () => ({ attributes: { x: "detector", z: "detector", "os.version": "mine" } }) },
    ];
    const { attributes, warnings } = buildResource({
      env,
      detectors,
      attributes: { y: "program", "os.type": "program", list: ["a", "b"], n: 1, yes: true },
    });
    assert.deepEqual(warnings, []);
    assert.equal(attributes["service.name"], "from-name");
    assert.equal(attributes["host.name"], "h");
    assert.equal(attributes.x, "env");
    assert.equal(attributes.y, "program");
    assert.equal(attributes.z, "detector");
    assert.equal(attributes["os.type"], "program");
    assert.equal(attributes["os.version"], "mine");
    assert.deepEqual([attributes.list, attributes.n, attributes.yes], [["a", "b"], 1, true]);
    const named = buildResource({ env, attributes: { "service.name": "program" } });
    assert.equal(named.attributes["service.name"], "program");
  });

  it("takes detectors of @opentelemetry/resources, and leaves out promises", async () => {
    const { attributes, warnings } = buildResource({
      env: NONE,
      detectors: [peer.osDetector, {
        detect: () => ({
          attributes: { now: 1, later: Promise.reject(new Error("never seen")), absent: undefined },
        }),
      }],
    });
    assert.equal(attributes["os.type"], process.platform);
    assert.equal(attributes.now, 1);
    assert.ok(!("later" in attributes) && !("absent" in attributes));
    assert.equal(warnings.length, 1);
    assert.ok(warnings[0].includes("later"));
    // An unhandled rejection would end this test run here.
    await new Promise((resolve) => setTimeout(resolve, 10));
  });

  it("reports what it can't use, and goes on", () => {
    const { attributes, warnings, schemaUrl } = buildResource({
      env: NONE,
      schemaUrl: "https://opentelemetry.io/schemas/1.40.0",
      detectors: [
        {
          detect: () => {
            throw new Error("no cloud");
          },
        },
        null as never,
        { detect: () => ({}) },
      ],
      attributes: { ok: "ok", "": "nameless", object: { a: 1 } as never, mixed: [1, "a"] as never },
    });
    assert.equal(schemaUrl, "https://opentelemetry.io/schemas/1.40.0");
    assert.equal(attributes.ok, "ok");
    assert.equal(Object.keys(attributes).length, 5);
    assert.equal(warnings.length, 5, warnings.join("\n"));
    assert.ok(warnings[0].includes("no cloud"));
  });

  it("gives each resource an instance id of its own", () => {
    const env = readEnvironment({ OTEL_NODE_RESOURCE_DETECTORS: "serviceinstance" });
    const ids = [1, 2].map(() => buildResource({ env }).attributes["service.instance.id"]);
    assert.notEqual(ids[0], ids[1]);
  });
});
