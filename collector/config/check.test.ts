import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { ArgumentsExit } from "../options/arguments.ts";
import { checkConfiguration } from "./check.ts";

const root = mkdtempSync(join(tmpdir(), "otlp-mmap-check-"));
after(() => rmSync(root, { recursive: true }));
const path = join(root, "c.yaml");

/** What is said of a file, by line and column alone; what is refused is marked. */
function said(yaml: string, env: Record<string, string> = {}): string[] {
  writeFileSync(path, yaml);
  let lines: string[];
  try {
    lines = checkConfiguration(path, env);
  } catch (error) {
    assert.ok(error instanceof ArgumentsExit, String(error));
    lines = [`refused: ${error.message}`];
  }
  return lines.map((line) => line.replaceAll(`${path}:`, "").replace(UNLESS, " ~"));
}

/** Behind each line about a file that can be used. */
const UNLESS = /, unless a flag or variable says otherwise$/;
const STORE_OFF = "collect.store is off, but the page shows what is in it: leave it out, name an " +
  "endpoint, or print";
const UNSENT = "has no effect: nothing is sent to an endpoint ~";
const ENV = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://h" };

describe("config check", () => {
  it("says which options of the file have no effect", () => {
    assert.deepEqual(said("collect:\n  otlp_http_port: 1\n  compression: gzip\n  ui_port: 1\n"), [
      `3:16: collect.compression ${UNSENT}`,
      "2:19: collect.otlp_http_port has no effect: nothing is received; --otlp-receiver asks for that ~",
    ]);
    assert.deepEqual(said("collect: {compression: gzip}", ENV), []);
    assert.deepEqual(said("collect: {endpoint: http://h, compression: gzip}\nviews: []"), []);
  });

  it("accepts what a flag or variable can mend, says it, and what else there is", () => {
    assert.deepEqual(said("collect: {store: false, compression: gzip, ui_port: 80}"), [
      `1:18: ${STORE_OFF} ~`,
      "1:53: collect.ui_port has no effect: no page is served; --ui asks for one ~",
    ]);
    assert.deepEqual(said("collect: {store: false}", ENV), []);
    // It is for an endpoint without https://, which with gRPC may still be named.
    assert.deepEqual(said("collect: {store: false, protocol: grpc, insecure: true}"), [
      `1:18: ${STORE_OFF} ~`,
    ]);
    assert.match(said("collect: {endpoint: 'h:4317'}").join(), /^1:21: .*"h:4317" is inv.*TLS ~$/);
    assert.match(said("", { OTEL_EXPORTER_OTLP_ENDPOINT: "h" }).join(), /^OTEL_.*write .*TLS ~$/);
  });

  it("refuses what none can mend", () => {
    assert.deepEqual(said("collect: {store: false, ui: true}"), [`refused: 1:18: ${STORE_OFF}`]);
    for (
      const [yaml, what] of [
        ["collect: {store: false, header: [a]}", "collect.header[0] is invalid"],
        ["collect: {store: false, flush_interval: soon}", "It is no duration"],
        ["collect: {endpoint: ':::'}", "is not a URL"],
        ["collect: {once: true, otlp_receiver: true}", "exclude each other"],
        ["x: 1", "no such field"],
      ]
    ) {
      const [line] = said(yaml);
      assert.ok(line.startsWith("refused: 1:") && line.includes(what), `${yaml}: ${line}`);
    }
  });
});
