/**
 * Sends batches to an OTLP/HTTP backend and keeps trying by the rules of OTLP.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { promisify } from "node:util";
import { gzip as gzipCallback } from "node:zlib";
import packageJson from "../package.json" with { type: "json" };
import { createConnections, type HttpResponse, type TlsMaterial } from "./connection.ts";
import { parseTarget, type Target } from "./endpoint.ts";
import { explainFailure } from "./failure.ts";
import { createProblems, type Log } from "./problems.ts";
import { judge, type RequestFacts, UNKNOWN_PATH } from "./response.ts";
import type { Signal } from "../lib/otlp/request.ts";
import { type Backoff, backoffMs, DEFAULT_BACKOFF, retryAfterMs } from "./retry.ts";
import { ITEMS } from "./signals.ts";

const gzip = promisify(gzipCallback);

/**
 * What became of a batch. `accepted + rejected + dropped`, and what was filtered, is the number of
 * its items.
 */
export interface Outcome {
  /** Items (spans, data points, log records) the backend took. */
  accepted: number;
  /** Items that it refused: part of a request that it took, or a signal that it does not take. */
  rejected: number;
  /** Items that were not delivered: the request was refused for good, or retrying was given up. */
  dropped: number;
  /** Items that the configuration leaves out. */
  filtered?: number;
  /** Why items were rejected or dropped, or what the backend warns about. */
  reason?: string;
  /** True when retrying was given up: the backend has not refused these items. */
  gaveUp?: boolean;
}

/** A request header. */
export interface Header {
  readonly name: string;
  readonly value: string;
  /** The flag or variable it comes from, named when the backend refuses credentials. */
  readonly source: string;
}

/** How to send. */
export interface SenderOptions {
  /** What is sent there. */
  readonly signal: Signal;
  /** The URL that is posted to, path included. */
  readonly url: string;
  readonly headers?: readonly Header[];
  /** Default `none`. */
  readonly compression?: "gzip" | "none";
  /** For one attempt, from connecting to the last byte of the answer, milliseconds. Default 10,000. */
  readonly timeoutMs?: number;
  /** PEM texts for https. */
  readonly tls?: TlsMaterial;
  /** Default {@linkcode DEFAULT_BACKOFF}. */
  readonly backoff?: Backoff;
  /** A batch is given up after this many milliseconds of trying. Default: never. */
  readonly maxElapsedMs?: number;
  /** Where problems and recoveries are said. */
  readonly log: Log;
}

/** Whether sending works. */
export interface SenderState {
  /** The last attempt was answered as OTLP wants it. True before the first. */
  readonly ok: boolean;
  /** What the last failed attempt failed of. */
  readonly lastError?: string;
  /** Attempts failed since the last that worked. */
  readonly failures: number;
  /** Attempts failed since the start. */
  readonly allFailures: number;
}

/** Sends batches. */
export interface Sender {
  /**
   * Sends one export request of the signal (protobuf bytes) and keeps retrying. Never rejects.
   * Resolves when the backend took it, refused it for good, or trying was given up. The body must
   * stay as it is until then.
   *
   * @param count Items in it.
   */
  send(body: Uint8Array, count: number): Promise<Outcome>;
  /**
   * Stops at once: running requests are cut off, every pending send resolves as dropped with
   * `gaveUp`, and so does every later one.
   */
  abort(reason: string): void;
  /** Aborts what is pending, closes the connections and says what is still unsaid. */
  close(): Promise<void>;
  readonly state: SenderState;
}

/** Value of the User-Agent header. */
export const USER_AGENT: string = `OTel-OTLP-Exporter-otlp-mmap/${packageJson.version}`;

/** Headers about how a request is carried, which are not the user's to set. */
export const OWN_HEADERS: ReadonlySet<string> = new Set([
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "trailer",
  "transfer-encoding",
]);

/**
 * Says what is wrong with a header, `undefined` when nothing is.
 */
export function headerProblem(name: string, value: string): string | undefined {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) return "its name is not a valid header name";
  if (OWN_HEADERS.has(name.toLowerCase())) return "this header is set by otlp-mmap itself";
  // A line break would end the header and start another.
  if (/(?!\t)\p{Cc}/u.test(value)) return "its value has control characters in it";
  return undefined;
}

/** The headers of every request, by lower-case name. */
function requestHeaders(
  target: Target,
  headers: readonly Header[],
  compressed: boolean,
): Record<string, string> {
  const all: Record<string, string> = {
    "host": target.hostHeader,
    "user-agent": USER_AGENT,
    "accept": "application/x-protobuf, application/json;q=0.5",
    "content-type": "application/x-protobuf",
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
export function createSender(options: SenderOptions): Sender {
  const { signal, headers = [], timeoutMs = 10_000, backoff = DEFAULT_BACKOFF, log } = options;
  const { maxElapsedMs = Infinity } = options;
  const items = ITEMS[signal];
  const target = parseTarget(options.url);
  const compressed = options.compression === "gzip";
  const connections = createConnections(
    target,
    requestHeaders(target, headers, compressed),
    options.tls,
  );
  const now = (): number => performance.now();
  const problems = createProblems(log, now);
  // What abort() has to cut short: running exchanges and waits.
  const cancels = new Set<() => void>();
  const state = {
    ok: true,
    lastError: undefined as string | undefined,
    failures: 0,
    allFailures: 0,
  };
  let failingSince = 0;
  let aborted: string | undefined;
  // The backend asked for quiet until then, whichever batch it told.
  let quietUntil = 0;

  function sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        cancels.delete(done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      cancels.add(done);
    });
  }

  async function exchange(payload: Uint8Array): Promise<HttpResponse> {
    const running = connections.post(payload, timeoutMs);
    cancels.add(running.cancel);
    try {
      return await running.response;
    } finally {
      cancels.delete(running.cancel);
    }
  }

  function failed(key: string, reason: string): void {
    if (state.failures === 0) failingSince = now();
    state.ok = false;
    state.lastError = reason;
    state.failures++;
    state.allFailures++;
    problems.report(key, "warn", `${target.url}: ${reason}; retrying`);
  }

  function worked(): void {
    const { failures } = state;
    state.ok = true;
    state.lastError = undefined;
    state.failures = 0;
    problems.recovered(() => {
      const seconds = ((now() - failingSince) / 1000).toFixed(1);
      const after = failures === 0 ? "" : ` after ${seconds} s (failed attempts: ${failures})`;
      return `${target.url}: takes ${items} again${after}`;
    });
  }

  function dropped(count: number, reason: string, gaveUp: boolean): Outcome {
    return { accepted: 0, rejected: 0, dropped: count, reason, ...(gaveUp ? { gaveUp } : {}) };
  }

  /** One attempt: the outcome, or `undefined` when it has to be made again. */
  async function attempt(payload: Uint8Array, count: number): Promise<Outcome | undefined> {
    let response: HttpResponse;
    try {
      response = await exchange(payload);
    } catch (error) {
      if (aborted !== undefined) return undefined;
      const { key, message } = explainFailure(error as Error, target);
      failed(key, message);
      return undefined;
    }
    const facts: RequestFacts = {
      signal,
      items: count,
      bytes: payload.length,
      path: target.path,
      headers,
    };
    const verdict = judge(response, facts);
    const { kind, rejected, reason } = verdict;
    const key = `HTTP ${response.status}`;
    if (kind === "taken") {
      worked();
      if (reason !== undefined) {
        problems.report("partial", "warn", `${target.url}: ${reason}`, false);
      }
      return { accepted: count - rejected, rejected, dropped: 0, ...(reason ? { reason } : {}) };
    }
    if (kind === "refused") {
      state.ok = false;
      state.lastError = reason;
      if (state.failures++ === 0) failingSince = now();
      state.allFailures++;
      const message = `${target.url}: ${reason}; ${count} ${items} dropped`;
      if (!UNKNOWN_PATH.has(response.status)) {
        problems.report(key, "error", message);
        return dropped(count, reason ?? key, false);
      }
      // Many backends take traces and nothing else: that goes without repeating.
      if (signal === "traces") problems.report(key, "error", message);
      else problems.once(key, "warn", `${message}, and so are all that follow`);
      return { accepted: 0, rejected: count, dropped: 0, reason };
    }
    failed(key, reason ?? key);
    const wait = retryAfterMs(response.headers.get("retry-after"), Date.now()) ?? 0;
    quietUntil = Math.max(quietUntil, now() + wait);
    return undefined;
  }

  async function send(body: Uint8Array, count: number): Promise<Outcome> {
    const started = now();
    let payload = body;
    if (compressed && aborted === undefined) {
      try {
        payload = await gzip(body, { level: 1 });
      } catch (error) {
        const reason = `gzip failed (${(error as Error).message})`;
        problems.report("gzip", "error", `${reason}; ${count} ${items} dropped`, false);
        return dropped(count, reason, false);
      }
    }
    let nextAttempt = started;
    for (let attempts = 0;;) {
      const wait = Math.max(nextAttempt, quietUntil) - now();
      if (now() + wait - started > maxElapsedMs) {
        const seconds = Math.round((now() - started) / 1000);
        const reason = `given up after ${seconds} s (attempts: ${attempts}): ${state.lastError}`;
        problems.report("given-up", "error", `${target.url}: ${count} ${items} ${reason}`);
        return dropped(count, reason, true);
      }
      if (wait > 0 && aborted === undefined) {
        await sleep(wait);
        // Another batch may have been told to be quiet for longer meanwhile.
        continue;
      }
      if (aborted !== undefined) return dropped(count, aborted, true);
      const outcome = await attempt(payload, count);
      if (outcome !== undefined) return outcome;
      attempts++;
      nextAttempt = now() + backoffMs(attempts, Math.random(), backoff);
    }
  }

  function abort(reason: string): void {
    aborted ??= reason;
    for (const cancel of [...cancels]) cancel();
  }

  return {
    send,
    abort,
    close(): Promise<void> {
      abort("the sender was closed");
      connections.close();
      problems.flush();
      return Promise.resolve();
    },
    state,
  };
}
