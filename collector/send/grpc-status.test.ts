import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { parseTarget } from "../options/endpoint.ts";
import { type CallFacts, judgeStatus, retryInfoMs } from "./grpc-status.ts";
import { MAX_RETRY_AFTER_MS } from "../../lib/otlp/retry-after.ts";

/** `google.rpc.Status { details: [RetryInfo { retry_delay }] }`. */
function status(delay: string, type = "type.googleapis.com/google.rpc.RetryInfo"): Buffer {
  const field = (number: number, content: Buffer): Buffer =>
    Buffer.concat([Buffer.from([number << 3 | 2, content.length]), content]);
  const info = field(1, Buffer.from(delay, "hex"));
  const any = Buffer.concat([field(1, Buffer.from(type)), field(2, info)]);
  return Buffer.concat([Buffer.from("0808", "hex"), field(3, any)]);
}

const MINUS_ONE = "ffffffffffffffffff01";

describe("RetryInfo", () => {
  it("is the first of its type, from nothing to 15 minutes", () => {
    const cases: [status: Buffer, ms: number | undefined][] = [
      [status(""), 0],
      [status("0802"), 2000],
      [status("0801" + "1080cab5ee01"), 1500],
      [status("08" + MINUS_ONE), 0],
      [status("08ffffffff7f"), MAX_RETRY_AFTER_MS],
      [status("0802", "google.rpc.RetryInfo"), 2000],
      [status("0802", "type.googleapis.com/google.rpc.QuotaFailure"), undefined],
      [status("0802", "type.googleapis.com/mygoogle.rpc.RetryInfo"), undefined],
      [Buffer.concat([status("0802", "x/google.rpc.Help"), status("0803")]), 3000],
      [Buffer.alloc(0), undefined],
    ];
    for (const [bytes, ms] of cases) assert.equal(retryInfoMs(bytes), ms, bytes.toString("hex"));
  });

  it("is never more than a wait, whatever byte is cut off or changed", () => {
    const whole = status("0801" + "1080cab5ee01");
    const isWait = (bytes: Buffer): void => {
      const ms = retryInfoMs(bytes);
      if (ms !== undefined) assert.ok(ms >= 0 && ms <= MAX_RETRY_AFTER_MS, bytes.toString("hex"));
    };
    for (let at = 0; at < whole.length; at++) {
      isWait(whole.subarray(0, at));
      for (let value = 0; value < 256; value++) {
        const changed = Buffer.from(whole);
        changed[at] = value;
        isWait(changed);
      }
    }
  });
});

describe("a status", () => {
  const facts: CallFacts = {
    signal: "traces",
    items: 1,
    bytes: 2,
    timeoutMs: 3,
    target: parseTarget("http://h:4317"),
    headers: [],
  };

  it("that gRPC does not define is final", () => {
    const answer = judgeStatus({ code: 99, details: "\x1b[2Jnew" }, facts);
    assert.deepEqual(answer, {
      kind: "refused",
      key: "gRPC status 99",
      reason: 'gRPC status 99; "\\x1b[2Jnew"',
    });
  });

  it("of the server is not taken for one of the client", () => {
    const { kind, key } = judgeStatus({ code: 4, details: "too slow behind me" }, facts) as {
      kind: string;
      key: string;
    };
    assert.deepEqual([kind, key], ["retry", "gRPC DEADLINE_EXCEEDED"]);
  });

  it("of grpc-js's own, for a connection that broke, is no refusal", () => {
    const details = "Received RST_STREAM with code 2";
    const own = `${details} triggered by internal client error: write EPIPE`;
    const broken = judgeStatus({ code: 13, details: own }, facts);
    assert.equal(broken.kind, "retry");
    assert.match(broken.reason!, /^the connection to h:4317 broke/);
    assert.equal(judgeStatus({ code: 13, details }, facts).kind, "refused");
  });

  it("of a proxy that is no gRPC server is recognised", () => {
    const secure = { ...facts, target: parseTarget("https://h:4317") };
    const judge = (code: number, details: string) => judgeStatus({ code, details }, secure);
    assert.equal(judge(2, "Received HTTP status code 413").kind, "too-large");
    const refused = judge(13, "Received HTTP status code 400");
    assert.equal(refused.kind, "refused");
    assert.match(refused.reason!, /client certificate: see OTEL_EXPORTER_OTLP_CLIENT_CERT/);
    const page = judge(8, "Received message larger than max (1752460652 vs 65536)");
    assert.equal(page.kind, "retry");
    assert.match(page.reason!, /^a text answered instead of an OTLP.gRPC receiver/);
    assert.equal(judge(8, "Received message larger than max (5000000 vs 65536)").kind, "refused");
  });
});
