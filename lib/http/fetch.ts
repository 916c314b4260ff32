/**
 * Client spans for `fetch`.
 *
 * @module
 */
import {
  type Context,
  context,
  diag,
  propagation,
  type Span,
  SpanKind,
  type TextMapSetter,
  trace,
} from "@opentelemetry/api";
import { isTracingSuppressed } from "@opentelemetry/core";
import { guarded } from "./exchange.ts";
import { flat } from "./flat.ts";
import { type ClientInstruments, type Measured, recordDuration, startFetching } from "./metrics.ts";
import {
  clientRequestAttributes,
  headerValues,
  type HttpOptions,
  type HttpSettings,
  isIgnored,
  methodLabel,
  recordError,
  recordResponse,
  resolveOptions,
  usable,
} from "./semconv.ts";

/** What the wrappers of `fetch` can be told. */
export interface FetchOptions extends HttpOptions {
  /** Requests to URLs for which it returns true get no span, no headers and are not measured. */
  readonly ignore?: (url: string) => boolean;
}

type Fetch = typeof globalThis.fetch;
type Input = Parameters<Fetch>[0];
type Init = Parameters<Fetch>[1];

const traced = new WeakSet<Fetch>();

/**
 * Wraps a `fetch` so that each request over HTTP gets a client span and carries its context.
 *
 * The span ends when the response headers are there, or when there will be none. Instrumentation
 * which sees the network, such as that for undici, ends it with the body instead; whoever sees only
 * `fetch` would have to wrap the body for that, and a body that nobody reads would hold the span
 * open, which the conventions advise against. Redirects are part of the one span. A request that
 * the caller aborts is not an error.
 *
 * The wrapper has the properties of what it wraps (`fetch.preconnect` of Bun), passes on what it
 * does not know (`client` of Deno), and changes neither `Request` nor `init` of its caller.
 *
 * @example
 * ```ts ignore
 * const tracedFetch = traceFetch(fetch);
 * await tracedFetch("https://example.com/");
 * ```
 */
export function traceFetch(fetch: Fetch, options: FetchOptions = {}): Fetch {
  if (traced.has(fetch)) return fetch;
  const settings = resolveOptions(options);
  const ignore = usable("ignore", options?.ignore);
  const proxy = new Proxy(fetch, {
    apply(target, self, args: [Input, Init?]): Promise<Response> {
      const call = guarded(() => begin(settings, ignore, args));
      if (call === undefined) return Reflect.apply(target, self, args);
      const threw = (error: unknown): never => {
        guarded(() => failed(call, error));
        throw error;
      };
      let answer: Promise<Response>;
      try {
        answer = context.with(call.context, () => Reflect.apply(target, self, call.args));
      } catch (error) {
        return threw(error);
      }
      // A stand-in may answer without a promise.
      return Promise.resolve(answer).then((response) => {
        guarded(() => received(settings, call, response));
        return response;
      }, threw);
    },
  });
  traced.add(proxy);
  return proxy;
}

/**
 * Makes the global `fetch` a traced one, see {@link traceFetch}.
 *
 * @returns puts the `fetch` back that was there
 */
export function instrumentFetch(options: FetchOptions = {}): () => void {
  const original = globalThis.fetch;
  if (traced.has(original)) {
    diag.warn("instrumentFetch: the global fetch is traced already; these options have no effect");
    return () => {};
  }
  let active = true;
  const given = usable("ignore", options?.ignore);
  const ignore = (url: string): boolean => !active || (given?.(url) ?? false);
  const wrapper = traceFetch(original, { ...flat(options), ignore });
  globalThis.fetch = wrapper;
  return () => {
    active = false; // someone may have wrapped or kept it
    if (globalThis.fetch === wrapper) globalThis.fetch = original;
  };
}

/** A request on its way. */
interface Call {
  readonly span: Span;
  readonly context: Context;
  readonly args: [Input, Init];
  readonly signal: AbortSignal | null | undefined;
  /** Undefined where metrics are off. */
  readonly measured: Measured<ClientInstruments> | undefined;
}

function begin(
  settings: HttpSettings,
  ignore: FetchOptions["ignore"],
  [input, init]: [Input, Init?],
): Call | undefined {
  const active = context.active();
  if (isTracingSuppressed(active)) return undefined;
  const request = input instanceof Request ? input : undefined;
  const given = request?.url ?? String(input);
  const url = parseUrl(given);
  // Not HTTP, or nothing that fetch will accept: it says so itself.
  if (url === undefined) return undefined;
  if (isIgnored(ignore, given)) return undefined;

  const headers = new Headers(init?.headers ?? request?.headers);
  // Before the span: what it reads may throw, as it then does in the fetch itself.
  const args: [Input, Init] = init instanceof Request
    ? [new Request(input as Request, init), { headers }]
    : [input, { ...flat(init), headers }];
  const method = normalized(String(init?.method ?? request?.method ?? "GET"));
  const attributes = clientRequestAttributes(settings, method, url, headers);
  const span = settings.tracer.startSpan(methodLabel(settings, method), {
    kind: SpanKind.CLIENT,
    attributes,
  }, active);
  const callContext = trace.setSpan(active, span);
  propagation.inject(callContext, headers, HEADERS);
  return {
    span,
    context: callContext,
    args,
    signal: init?.signal ?? request?.signal,
    measured: guarded(() => startFetching(settings.clientInstruments(), attributes)),
  };
}

function received(settings: HttpSettings, call: Call, response: Response): void {
  let status: number | undefined;
  let errorType: string | undefined;
  try {
    status = response.status;
    const header = (name: string): string[] | undefined => headerValues(response.headers, name);
    errorType = recordResponse(settings, call.span, status, 400, header, false);
  } finally {
    // Also where a stand-in answered with no whole response.
    end(call, status, errorType);
  }
}

function failed(call: Call, error: unknown): void {
  const { signal, span } = call;
  end(call, undefined, isCancellation(signal, error) ? undefined : recordError(span, error));
}

function end(call: Call, status: number | undefined, errorType: string | undefined): void {
  const { measured, span } = call;
  if (measured === undefined) return span.end();
  const ended = performance.now();
  span.end();
  recordDuration(measured, ended, { status, errorType }, call.context);
}

/** Whether the caller gave up on purpose. A deadline that passed is an error. */
function isCancellation(signal: AbortSignal | null | undefined, error: unknown): boolean {
  if (!signal?.aborted) return false;
  const name = (error as { name?: unknown } | null | undefined)?.name;
  return name !== "TimeoutError" && (name === "AbortError" || error === signal.reason);
}

function parseUrl(text: string): URL | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  return url.protocol === "http:" || url.protocol === "https:" ? url : undefined;
}

/** Method names that fetch sends in capitals however they are given. */
const NORMALIZED = /^(?:delete|get|head|options|post|put)$/i;

function normalized(method: string): string {
  return NORMALIZED.test(method) ? method.toUpperCase() : method;
}

const HEADERS: TextMapSetter<Headers> = {
  set: (headers, key, value) => headers.set(key, value),
};
