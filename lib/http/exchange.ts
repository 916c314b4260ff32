/**
 * One request that a server received: its span from the start until the response is sent.
 *
 * It travels in the context as the RPC metadata of `@opentelemetry/core`, the place where other
 * instrumentation looks for the server span, too.
 *
 * @module
 */
import {
  type Attributes,
  type Context,
  context,
  diag,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  trace,
} from "@opentelemetry/api";
import {
  getRPCMetadata,
  isTracingSuppressed,
  type RPCMetadata,
  RPCType,
  setRPCMetadata,
} from "@opentelemetry/core";
import {
  ATTR_ERROR_TYPE,
  ATTR_HTTP_REQUEST_METHOD,
  ATTR_HTTP_ROUTE,
  ATTR_URL_SCHEME,
} from "@opentelemetry/semantic-conventions";
import { type Measured, type ServerInstruments, startServing, stopServing } from "./metrics.ts";
import {
  ABORTED,
  type HttpSettings,
  methodLabel,
  recordError,
  recordResponse,
  type ServerRequest,
  serverRequestAttributes,
} from "./semconv.ts";

/** A request being served. */
export interface Exchange extends RPCMetadata {
  readonly settings: HttpSettings;
  /** The request object, by which a wrapper inside another one knows that it is. */
  readonly request: object;
  /** The context that the handler runs in. */
  readonly context: Context;
  /** Undefined where metrics are off. */
  readonly measured: Measured<ServerInstruments> | undefined;
  /** Of the request; undefined where the runtime does not say. */
  readonly protocolVersion: string | undefined;
  /** Of the response; undefined as long as there is none. */
  status: number | undefined;
  /** `error.type` of what has gone wrong so far. */
  errorType: string | undefined;
  /** An error is recorded on the span. */
  failed: boolean;
  ended: boolean;
}

/**
 * Starts the server span of a request, as a child of the span its headers name.
 *
 * @returns undefined when tracing is suppressed or another wrapper has the request already
 */
export function beginExchange<Carrier>(
  settings: HttpSettings,
  request: object,
  facts: ServerRequest,
  carrier: Carrier,
  headers: TextMapGetter<Carrier>,
  route: string | undefined,
): Exchange | undefined {
  const active = context.active();
  if (isTracingSuppressed(active)) return undefined;
  const outer = getRPCMetadata(active) as Partial<Exchange> | undefined;
  if (outer?.request === request) return undefined;

  // Not the active context: that is the one the server was started in.
  const parent = propagation.extract(ROOT_CONTEXT, carrier, headers);
  const attributes = serverRequestAttributes(settings, facts, carrier, headers);
  let name = methodLabel(settings, facts.method);
  if (route !== undefined) {
    attributes[ATTR_HTTP_ROUTE] = route;
    name += " " + route;
  }
  const span = settings.tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, parent);
  const exchange = {
    type: RPCType.HTTP as const,
    span,
    route,
    settings,
    request,
    context: parent,
    measured: undefined as Exchange["measured"],
    protocolVersion: facts.protocolVersion,
    status: undefined,
    errorType: undefined,
    failed: false,
    ended: false,
  } satisfies Exchange;
  exchange.context = setRPCMetadata(trace.setSpan(parent, span), exchange);
  exchange.measured = guarded(() => measure(exchange, attributes, facts.scheme));
  return exchange;
}

/** Starts to measure a request, where metrics are on. */
function measure(
  { settings, context: active }: Exchange,
  attributes: Attributes,
  scheme: string,
): Measured<ServerInstruments> | undefined {
  const instruments = settings.serverInstruments();
  if (instruments === undefined) return undefined;
  const method = attributes[ATTR_HTTP_REQUEST_METHOD] as string;
  const original = attributes[ATTR_URL_SCHEME];
  const credible = original === "https" || original === "http" ? original : scheme;
  return startServing(instruments, method, credible, active);
}

/** Whether anything comes of following the exchange to its end. */
export function isObserved(exchange: Exchange): boolean {
  return exchange.measured !== undefined || exchange.span.isRecording();
}

/** The server span that is active, whoever made it, as RPC metadata. */
export function activeServerSpan(): RPCMetadata | undefined {
  const active = context.active();
  const metadata = getRPCMetadata(active);
  if (metadata !== undefined) return metadata;
  const span = trace.getSpan(active);
  const kind = (span as (Span & { kind?: unknown }) | undefined)?.kind;
  return span !== undefined && kind === SpanKind.SERVER ? { type: RPCType.HTTP, span } : undefined;
}

/** Says which route matched: attribute and span name. Does nothing when that is known already. */
export function setRoute(server: RPCMetadata, method: string, route: string): void {
  if (server.route === route) return;
  server.route = route;
  server.span.setAttribute(ATTR_HTTP_ROUTE, route);
  server.span.updateName(method + " " + route);
}

/** The handler answered. */
export function respond(
  exchange: Exchange,
  status: number,
  header?: (name: string) => string[] | undefined,
): void {
  const { settings, span, failed } = exchange;
  exchange.status = status;
  exchange.errorType = recordResponse(settings, span, status, 500, header, failed) ??
    exchange.errorType;
}

/** The handler threw. */
export function fail(
  server: RPCMetadata & { failed?: boolean; errorType?: string },
  error: unknown,
): void {
  server.failed = true;
  server.errorType = recordError(server.span, error);
}

/** The response was sent, or (`aborted`) not as a whole. */
export function endExchange(exchange: Exchange, aborted: boolean): void {
  if (exchange.ended) return;
  exchange.ended = true;
  if (aborted && !exchange.failed) {
    exchange.errorType = ABORTED;
    exchange.span.setAttribute(ATTR_ERROR_TYPE, ABORTED);
    exchange.span.setStatus({ code: SpanStatusCode.ERROR });
  }
  const { measured } = exchange;
  if (measured === undefined) return exchange.span.end();
  const ended = performance.now();
  exchange.span.end();
  guarded(() => stopServing(measured, ended, exchange, exchange.context));
}

/** Runs a step of telemetry that must not fail the request it is about. */
export function guarded<Result>(step: () => Result): Result | undefined {
  try {
    return step();
  } catch (error) {
    diag.error("HTTP telemetry failed; the request goes on without it", error);
    return undefined;
  }
}
