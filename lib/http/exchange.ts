/**
 * One request that a server received: its span from the start until the response is sent.
 *
 * It travels in the context as the RPC metadata of `@opentelemetry/core`, the place where other
 * instrumentation looks for the server span, too.
 *
 * @module
 */
import {
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
import { ATTR_ERROR_TYPE, ATTR_HTTP_ROUTE } from "@opentelemetry/semantic-conventions";
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
    type: RPCType.HTTP,
    span,
    route,
    settings,
    request,
    context: parent,
    failed: false,
    ended: false,
  } satisfies Exchange;
  exchange.context = setRPCMetadata(trace.setSpan(parent, span), exchange);
  return exchange;
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
  recordResponse(exchange.settings, exchange.span, status, 500, header, exchange.failed);
}

/** The handler threw. */
export function fail(server: RPCMetadata & { failed?: boolean }, error: unknown): void {
  server.failed = true;
  recordError(server.span, error);
}

/** The response was sent, or (`aborted`) not as a whole. */
export function endExchange(exchange: Exchange, aborted: boolean): void {
  if (exchange.ended) return;
  exchange.ended = true;
  if (aborted && !exchange.failed) {
    exchange.span.setAttribute(ATTR_ERROR_TYPE, ABORTED);
    exchange.span.setStatus({ code: SpanStatusCode.ERROR });
  }
  exchange.span.end();
}

/** Runs a step of telemetry that must not fail the request it is about. */
export function guarded<Result>(step: () => Result): Result | undefined {
  try {
    return step();
  } catch (error) {
    diag.error("HTTP tracing failed; the request goes on untraced", error);
    return undefined;
  }
}
