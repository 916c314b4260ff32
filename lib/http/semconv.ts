/**
 * What the stable HTTP semantic conventions (1.45) say about names, attributes and errors, shared
 * by the server and client wrappers.
 *
 * @see https://opentelemetry.io/docs/specs/semconv/http/http-spans/
 * @module
 */
import {
  type Attributes,
  diag,
  type MeterProvider,
  type Span,
  SpanStatusCode,
  type TextMapGetter,
  trace,
  type Tracer,
  type TracerProvider,
} from "@opentelemetry/api";
import { getStringListFromEnv } from "@opentelemetry/core";
import {
  ATTR_CLIENT_ADDRESS,
  ATTR_ERROR_TYPE,
  ATTR_HTTP_REQUEST_HEADER,
  ATTR_HTTP_REQUEST_METHOD,
  ATTR_HTTP_REQUEST_METHOD_ORIGINAL,
  ATTR_HTTP_RESPONSE_HEADER,
  ATTR_HTTP_RESPONSE_STATUS_CODE,
  ATTR_NETWORK_PEER_ADDRESS,
  ATTR_NETWORK_PEER_PORT,
  ATTR_NETWORK_PROTOCOL_VERSION,
  ATTR_SERVER_ADDRESS,
  ATTR_SERVER_PORT,
  ATTR_URL_FULL,
  ATTR_URL_PATH,
  ATTR_URL_QUERY,
  ATTR_URL_SCHEME,
  ATTR_USER_AGENT_ORIGINAL,
} from "@opentelemetry/semantic-conventions";
import {
  type ClientInstruments,
  clientInstruments,
  lazyInstruments,
  type ServerInstruments,
  serverInstruments,
} from "./metrics.ts";

/** What all wrappers of this folder can be told. */
export interface HttpOptions {
  /** Request headers to record as `http.request.header.<name>`; none by default. */
  readonly captureRequestHeaders?: readonly string[];
  /** Response headers to record as `http.response.header.<name>`; none by default. */
  readonly captureResponseHeaders?: readonly string[];
  /** Where spans are made; the global provider by default. */
  readonly tracerProvider?: TracerProvider;
  /** Where durations and active requests are recorded; the global provider by default. */
  readonly meterProvider?: MeterProvider;
}

/** {@link HttpOptions}, worked out once per wrapper. */
export interface HttpSettings {
  readonly tracer: Tracer;
  /** What a server records with; undefined where metrics are off. */
  readonly serverInstruments: () => ServerInstruments | undefined;
  /** What a client records with; undefined where metrics are off. */
  readonly clientInstruments: () => ClientInstruments | undefined;
  readonly knownMethods: ReadonlySet<string>;
  readonly requestHeaders: readonly CapturedHeader[];
  readonly responseHeaders: readonly CapturedHeader[];
}

/** A header to record: its lowercase name and its attribute key. */
export interface CapturedHeader {
  readonly name: string;
  readonly key: string;
}

/** What is known about a request that a server received. */
export interface ServerRequest {
  readonly method: string;
  /** `http` or `https`. */
  readonly scheme: string;
  /** Host and port as the client named them. */
  readonly host: string | undefined;
  readonly path: string;
  /** Without the question mark; undefined when there is none. */
  readonly query: string | undefined;
  readonly peerAddress: string | undefined;
  readonly peerPort: number | undefined;
  /** `1.0`, `1.1`, `2`; undefined where the runtime does not say. */
  readonly protocolVersion: string | undefined;
}

/** `error.type` of a response that did not reach the client as a whole. */
export const ABORTED = "aborted";
/** `http.request.method` of a method that is not known. */
const OTHER_METHOD = "_OTHER";
/** The instrumentation scope of spans and metrics. */
const SCOPE = { name: "otlp-mmap/http", schemaUrl: "https://opentelemetry.io/schemas/1.45.0" };

const DEFAULT_METHODS = [
  "CONNECT",
  "DELETE",
  "GET",
  "HEAD",
  "OPTIONS",
  "PATCH",
  "POST",
  "PUT",
  "QUERY",
  "TRACE",
];

// `url.full`, `url.query`: the values of these parameters SHOULD be redacted by default.
const SENSITIVE_PARAMETER =
  /([?&]|^)(X-Amz-Signature|X-Amz-Credential|X-Amz-Security-Token|AWSAccessKeyId|Signature|sig|X-Goog-Signature)=[^&#]*/g;

/** Works the options out. What can't be used of them is said here, not with each request. */
export function resolveOptions(options: HttpOptions | null | undefined): HttpSettings {
  const { tracerProvider, meterProvider, captureRequestHeaders, captureResponseHeaders } =
    usableOptions(options);
  return {
    // Not trace.getTracer(), which leaves the schema out.
    tracer: (tracerProvider ?? trace.getTracerProvider()).getTracer(SCOPE.name, undefined, {
      schemaUrl: SCOPE.schemaUrl,
    }),
    serverInstruments: lazyInstruments(meterProvider, SCOPE, serverInstruments),
    clientInstruments: lazyInstruments(meterProvider, SCOPE, clientInstruments),
    knownMethods: new Set(methodsFromEnvironment() ?? DEFAULT_METHODS),
    requestHeaders: captured(captureRequestHeaders, ATTR_HTTP_REQUEST_HEADER),
    responseHeaders: captured(captureResponseHeaders, ATTR_HTTP_RESPONSE_HEADER),
  };
}

/** Those options that can be used. The others are said. */
export function usableOptions(
  options: HttpOptions | null | undefined,
): Required<Pick<HttpOptions, "captureRequestHeaders" | "captureResponseHeaders">> & HttpOptions {
  const tracers = options?.tracerProvider;
  const meters = options?.meterProvider;
  return {
    tracerProvider: usable("tracerProvider", tracers, tracers?.getTracer),
    meterProvider: usable("meterProvider", meters, meters?.getMeter),
    captureRequestHeaders: headerNames("captureRequestHeaders", options?.captureRequestHeaders),
    captureResponseHeaders: headerNames("captureResponseHeaders", options?.captureResponseHeaders),
  };
}

/** An option whose `method` is a function; another one is said, and counts as not given. */
export function usable<Value>(
  option: string,
  given: Value | null | undefined,
  method: unknown = given,
): Value | undefined {
  if (given === undefined || given === null) return undefined;
  if (typeof method === "function") return given;
  diag.warn(`HTTP telemetry: the option ${option} is none that can be used; ignored`);
  return undefined;
}

function methodsFromEnvironment(): string[] | undefined {
  try {
    return getStringListFromEnv("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS");
  } catch {
    return undefined; // Deno without --allow-env
  }
}

function captured(names: readonly string[], key: (name: string) => string): CapturedHeader[] {
  return names.map((name) => ({ name: name.toLowerCase(), key: key(name.toLowerCase()) }));
}

function headerNames(option: string, given: unknown): string[] {
  const names: unknown[] = [given ?? []].flat();
  return names.filter((name): name is string => {
    if (typeof name === "string" && HEADER_NAME.test(name)) return true;
    diag.warn(
      `HTTP telemetry: ${option}: ${
        typeof name === "string" ? JSON.stringify(name) : "what is no text"
      } is not the name of a header; ignored`,
    );
    return false;
  });
}

/** A token of HTTP: asking headers for another name throws. */
const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]+$/;

/** The `{method}` of span names. */
export function methodLabel(settings: HttpSettings, method: string): string {
  return settings.knownMethods.has(method) ? method : "HTTP";
}

function setMethod(settings: HttpSettings, attributes: Attributes, method: string): void {
  if (settings.knownMethods.has(method)) {
    attributes[ATTR_HTTP_REQUEST_METHOD] = method;
  } else {
    attributes[ATTR_HTTP_REQUEST_METHOD] = OTHER_METHOD;
    attributes[ATTR_HTTP_REQUEST_METHOD_ORIGINAL] = method;
  }
}

/** The attributes of a server span that are known when it starts. */
export function serverRequestAttributes<Carrier>(
  settings: HttpSettings,
  request: ServerRequest,
  carrier: Carrier,
  headers: TextMapGetter<Carrier>,
): Attributes {
  const original = originalRequest(carrier, headers);
  const scheme = original.scheme || request.scheme;
  const attributes: Attributes = {
    [ATTR_URL_PATH]: request.path,
    [ATTR_URL_SCHEME]: scheme,
  };
  setMethod(settings, attributes, request.method);
  if (request.query) attributes[ATTR_URL_QUERY] = redactQuery(request.query);
  const host = original.host || request.host;
  if (host) setServer(attributes, host, scheme);
  if (request.peerAddress !== undefined) {
    attributes[ATTR_NETWORK_PEER_ADDRESS] = request.peerAddress;
    if (request.peerPort !== undefined) attributes[ATTR_NETWORK_PEER_PORT] = request.peerPort;
  }
  const client = original.client || request.peerAddress;
  if (client !== undefined) attributes[ATTR_CLIENT_ADDRESS] = client;
  if (request.protocolVersion !== undefined) {
    attributes[ATTR_NETWORK_PROTOCOL_VERSION] = request.protocolVersion;
  }
  const userAgent = first(headers.get(carrier, "user-agent"));
  if (userAgent !== undefined) attributes[ATTR_USER_AGENT_ORIGINAL] = userAgent;
  for (const { name, key } of settings.requestHeaders) {
    const value = headers.get(carrier, name);
    if (value !== undefined) attributes[key] = typeof value === "string" ? [value] : value;
  }
  return attributes;
}

/** The attributes of a client span that are known when it starts. */
export function clientRequestAttributes(
  settings: HttpSettings,
  method: string,
  url: URL,
  headers: Headers,
): Attributes {
  const attributes: Attributes = {
    [ATTR_URL_FULL]: redactUrl(url),
    [ATTR_SERVER_ADDRESS]: bare(url.hostname),
    [ATTR_SERVER_PORT]: url.port === "" ? defaultPort(url.protocol) : Number(url.port),
  };
  setMethod(settings, attributes, method);
  for (const { name, key } of settings.requestHeaders) {
    const value = headers.get(name);
    if (value !== null) attributes[key] = [value];
  }
  return attributes;
}

/**
 * Status code, captured headers and, from `errorFrom` on (500 for servers, 400 for clients), the
 * error. An error that is known already stays: it says more than its status code.
 *
 * @returns the `error.type` that the status code stands for
 */
export function recordResponse(
  settings: HttpSettings,
  span: Span,
  status: number,
  errorFrom: number,
  header: ((name: string) => string[] | undefined) | undefined,
  failed: boolean,
): string | undefined {
  span.setAttribute(ATTR_HTTP_RESPONSE_STATUS_CODE, status);
  let type: string | undefined;
  if (status >= errorFrom && !failed) {
    type = String(status);
    span.setAttribute(ATTR_ERROR_TYPE, type);
    // No description: the status code says it.
    span.setStatus({ code: SpanStatusCode.ERROR });
  }
  if (header === undefined) return type;
  for (const { name, key } of settings.responseHeaders) {
    const value = header(name);
    if (value !== undefined) span.setAttribute(key, value);
  }
  return type;
}

/** The values of a response header; `set-cookie` is the one that must not be joined. */
export function headerValues(headers: Headers, name: string): string[] | undefined {
  if (name === "set-cookie") {
    const cookies = headers.getSetCookie();
    return cookies.length === 0 ? undefined : cookies;
  }
  const value = headers.get(name);
  return value === null ? undefined : [value];
}

/**
 * Records what was thrown: exception, status ERROR and `error.type`.
 *
 * @returns the `error.type`
 */
export function recordError(span: Span, error: unknown): string {
  const { type, message, exception } = readError(error);
  span.recordException(exception);
  span.setAttribute(ATTR_ERROR_TYPE, type);
  span.setStatus({ code: SpanStatusCode.ERROR, message });
  return type;
}

/** Never throws: what is thrown may have getters and traps of its own, and the span has to end. */
function readError(error: unknown): { type: string; message: string; exception: Error | string } {
  try {
    const known = error instanceof Error;
    const message = known ? error.message : String(error);
    return { type: errorType(error), message, exception: known ? error : message };
  } catch {
    const message = "an error that cannot be read";
    return { type: typeof error, message, exception: message };
  }
}

/** A code such as `ECONNREFUSED`, else the error's class. */
function errorType(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const code = (error as { code?: unknown }).code;
  if (typeof code === "string" && code !== "") return code;
  return error.name === "Error" ? error.constructor.name : error.name;
}

/** Calls an `ignore` option: telemetry must not fail a request, so a throw counts as false. */
export function isIgnored<Subject>(
  ignore: ((subject: Subject) => boolean) | undefined,
  subject: Subject,
): boolean {
  if (ignore === undefined) return false;
  try {
    return ignore(subject);
  } catch (error) {
    diag.error("the ignore option threw; the request is traced", error);
    return false;
  }
}

/** Replaces the values of parameters that carry signatures or credentials. */
export function redactQuery(query: string): string {
  return query.replace(SENSITIVE_PARAMETER, "$1$2=REDACTED");
}

/** The URL without its user, password and sensitive parameters. Changes `url`. */
function redactUrl(url: URL): string {
  if (url.username !== "") url.username = "REDACTED";
  if (url.password !== "") url.password = "REDACTED";
  return redactQuery(url.href);
}

function setServer(attributes: Attributes, host: string, scheme: string): void {
  const port = portOf(host);
  attributes[ATTR_SERVER_ADDRESS] = bare(port === undefined ? host : host.slice(0, port - 1));
  attributes[ATTR_SERVER_PORT] = port === undefined
    ? defaultPort(scheme)
    : Number(host.slice(port));
}

/** Where the digits of the port start; undefined when there is none (or an IPv6 address alone). */
function portOf(host: string): number | undefined {
  const colon = host.lastIndexOf(":");
  if (colon <= 0 || colon === host.length - 1) return undefined;
  if (host[0] === "[" ? host[colon - 1] !== "]" : host.indexOf(":") !== colon) return undefined;
  for (let i = colon + 1; i < host.length; i++) {
    if (host[i] < "0" || host[i] > "9") return undefined;
  }
  return colon + 1;
}

/** An IPv6 address without its brackets. */
function bare(host: string): string {
  return host[0] === "[" && host.endsWith("]") ? host.slice(1, -1) : host;
}

function defaultPort(scheme: string): number {
  return scheme.startsWith("https") ? 443 : 80;
}

/** What proxies say about the request as the client made it. */
interface OriginalRequest {
  client?: string;
  host?: string;
  scheme?: string;
}

const DIRECT: OriginalRequest = {};

function originalRequest<Carrier>(
  carrier: Carrier,
  headers: TextMapGetter<Carrier>,
): OriginalRequest {
  const forwarded = first(headers.get(carrier, "forwarded"));
  if (forwarded !== undefined) return parseForwarded(forwarded);
  // A header costs about a microsecond to look up, and no proxy sends the other two alone.
  const client = first(headers.get(carrier, "x-forwarded-for"));
  if (client === undefined) return DIRECT;
  const host = first(headers.get(carrier, "x-forwarded-host"));
  const scheme = first(headers.get(carrier, "x-forwarded-proto"));
  return {
    client: addressOf(firstOfList(client)),
    host: host && firstOfList(host),
    scheme: scheme && firstOfList(scheme).toLowerCase(),
  };
}

/** The first element of `Forwarded` (RFC 7239): the one nearest to the client. */
function parseForwarded(header: string): OriginalRequest {
  const original: OriginalRequest = {};
  for (const pair of firstOfList(header).split(";")) {
    const equals = pair.indexOf("=");
    if (equals < 0) continue;
    const value = pair.slice(equals + 1).trim().replace(/^"(.*)"$/, "$1");
    switch (pair.slice(0, equals).trim().toLowerCase()) {
      case "for":
        original.client = addressOf(value);
        break;
      case "host":
        original.host = value;
        break;
      case "proto":
        original.scheme = value.toLowerCase();
        break;
    }
  }
  return original;
}

function addressOf(node: string): string {
  const port = portOf(node);
  return bare(port === undefined ? node : node.slice(0, port - 1));
}

function firstOfList(header: string): string {
  const comma = header.indexOf(",");
  return (comma < 0 ? header : header.slice(0, comma)).trim();
}

function first(value: string | string[] | undefined): string | undefined {
  return typeof value === "object" ? value[0] : value;
}
