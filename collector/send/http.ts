/**
 * OTLP over HTTP: what a request looks like, and what becomes of one attempt to post it.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { promisify } from "node:util";
import { gzip as gzipCallback } from "node:zlib";
import { createConnections, type HttpResponse } from "./connection.ts";
import { parseTarget, type Target } from "../options/endpoint.ts";
import { explainFailure } from "./failure.ts";
import { type Header, headerProblem, originsOf, USER_AGENT } from "./headers.ts";
import { toOtlpJson } from "../text/otlp-json.ts";
import { judge, UNKNOWN_PATH } from "./response.ts";
import { retryAfterMs } from "../../lib/otlp/retry-after.ts";
import type { Answer, Attempt, Transport } from "./retrying.ts";
import type { SenderOptions } from "./send.ts";

const gzip = promisify(gzipCallback);

/** HTTP 413 Content Too Large. */
const TOO_LARGE = 413;
const PROTOBUF = "application/x-protobuf";
const JSON_TYPE = "application/json";

/** The headers of every request, by lower-case name. */
function requestHeaders(
  target: Target,
  headers: readonly Header[],
  json: boolean,
  compressed: boolean,
): Record<string, string> {
  const all: Record<string, string> = {
    "host": target.hostHeader,
    "user-agent": USER_AGENT,
    "accept": json ? `${JSON_TYPE}, ${PROTOBUF};q=0.5` : `${PROTOBUF}, ${JSON_TYPE};q=0.5`,
    "content-type": json ? JSON_TYPE : PROTOBUF,
  };
  if (compressed) all["content-encoding"] = "gzip";
  if (target.authorization !== undefined) all.authorization = target.authorization;
  for (const { name, value, source } of headers) {
    const problem = headerProblem(name, value);
    if (problem !== undefined) throw new Error(`header "${name}" from ${source}: ${problem}`);
    // node:http writes values as Latin-1, which makes this UTF-8 on the wire.
    all[name.toLowerCase()] = Buffer.from(value, "utf8").toString("latin1");
  }
  return all;
}

/**
 * @throws Error when the URL or a header can't be used.
 */
export function createHttpTransport(options: SenderOptions): Transport {
  const { signal, headers = [], authorization, timeoutMs = 10_000 } = options;
  const target = parseTarget(options.url);
  const origins = originsOf(headers, authorization, target);
  const json = options.protocol === "http/json";
  const compressed = options.compression === "gzip";
  const connections = createConnections(
    target,
    requestHeaders(target, headers, json, compressed),
    options.tls,
    options.proxy,
  );

  function toJson(body: Uint8Array): Uint8Array {
    try {
      return Buffer.from(toOtlpJson(signal, body), "utf8");
    } catch (error) {
      throw new Error(`a request can't be put as JSON (${(error as Error).message})`);
    }
  }

  async function prepare(body: Uint8Array): Promise<Uint8Array> {
    const content = json ? toJson(body) : body;
    if (!compressed) return content;
    try {
      return await gzip(content, { level: 1 });
    } catch (error) {
      throw new Error(`gzip failed (${(error as Error).message})`);
    }
  }

  async function answered(
    response: Promise<HttpResponse>,
    bytes: number,
    items: number,
  ): Promise<Answer> {
    let arrived: HttpResponse;
    try {
      arrived = await response;
    } catch (error) {
      const { key, message } = explainFailure(error as Error, target, options.proxy);
      return { kind: "retry", key, reason: message };
    }
    const verdict = judge(arrived, { signal, items, bytes, path: target.path, headers: origins });
    const { kind, rejected, reason } = verdict;
    if (kind === "taken") return { kind, rejected, ...(reason ? { reason } : {}) };
    const key = `HTTP ${arrived.status}`;
    const failure = { key, reason: reason ?? key };
    if (kind === "refused") {
      if (arrived.status === TOO_LARGE) return { kind: "too-large", ...failure };
      return { kind: UNKNOWN_PATH.has(arrived.status) ? "unwanted" : "refused", ...failure };
    }
    const { headers } = arrived;
    const waitMs = retryAfterMs(headers.get("retry-after"), headers.get("date"), Date.now()) ?? 0;
    return { kind, ...failure, waitMs };
  }

  return {
    url: target.url,
    prepare,
    attempt(payload: Uint8Array, items: number): Attempt {
      const { response, cancel } = connections.post(
        payload,
        timeoutMs,
        authorization === undefined ? {} : { authorization: authorization.value() },
      );
      return { answer: answered(response, payload.length, items), cancel };
    },
    close: () => connections.close(),
  };
}
