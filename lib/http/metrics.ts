/**
 * The metrics of the stable HTTP semantic conventions (1.45), for the server and client wrappers.
 *
 * @see https://opentelemetry.io/docs/specs/semconv/http/http-metrics/
 * @module
 */
import {
  type Attributes,
  type Context,
  createNoopMeter,
  type Histogram,
  type Meter,
  type MeterProvider,
  metrics,
  type UpDownCounter,
  ValueType,
} from "@opentelemetry/api";
import {
  ATTR_ERROR_TYPE,
  ATTR_HTTP_REQUEST_METHOD,
  ATTR_HTTP_RESPONSE_STATUS_CODE,
  ATTR_HTTP_ROUTE,
  ATTR_NETWORK_PROTOCOL_VERSION,
  ATTR_SERVER_ADDRESS,
  ATTR_SERVER_PORT,
  ATTR_URL_SCHEME,
  METRIC_HTTP_CLIENT_REQUEST_DURATION,
  METRIC_HTTP_SERVER_REQUEST_DURATION,
} from "@opentelemetry/semantic-conventions";

/** What a server records with. */
export interface ServerInstruments {
  /** `http.server.request.duration`, s. */
  readonly duration: Histogram;
  /** `http.server.active_requests`. */
  readonly active: UpDownCounter;
}

/** What a client records with. */
export interface ClientInstruments {
  /** `http.client.request.duration`, s. */
  readonly duration: Histogram;
}

/** A request on its way, and what of it will be recorded. */
export interface Measured<Instruments> {
  readonly instruments: Instruments;
  /** When it started, ms, by `performance.now()`. */
  readonly started: number;
  /** What is known of it when it starts. SDKs may keep the object: it does not change. */
  readonly attributes: Attributes;
}

/** The bucket boundaries that the conventions advise, s. */
const BOUNDARIES = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/** `http.server.request.duration` and `http.server.active_requests`. */
export function serverInstruments(meter: Meter): ServerInstruments {
  return {
    duration: meter.createHistogram(METRIC_HTTP_SERVER_REQUEST_DURATION, {
      description: "Duration of HTTP server requests.",
      unit: "s",
      advice: { explicitBucketBoundaries: BOUNDARIES },
    }),
    // Not stable yet, and the package of the conventions warns against depending on such names.
    active: meter.createUpDownCounter("http.server.active_requests", {
      description: "Number of active HTTP server requests.",
      unit: "{request}",
      valueType: ValueType.INT,
    }),
  };
}

/** `http.client.request.duration`. */
export function clientInstruments(meter: Meter): ClientInstruments {
  return {
    duration: meter.createHistogram(METRIC_HTTP_CLIENT_REQUEST_DURATION, {
      description: "Duration of HTTP client requests.",
      unit: "s",
      advice: { explicitBucketBoundaries: BOUNDARIES },
    }),
  };
}

/**
 * The instruments of a provider, made when they are first needed. The API has no proxy for meters:
 * an instrument of before the start of an SDK never records. So the global provider is looked up at
 * every use, which costs a few nanoseconds, and another one gets instruments of its own.
 *
 * @param given the provider to use in place of the global one
 * @returns gives undefined where there is no SDK, and nothing needs to be measured
 */
export function lazyInstruments<Instruments>(
  given: MeterProvider | undefined,
  scope: { readonly name: string; readonly schemaUrl: string },
  make: (meter: Meter) => Instruments,
): () => Instruments | undefined {
  let seen: MeterProvider | undefined;
  let instruments: Instruments | undefined;
  return () => {
    const provider = given ?? metrics.getMeterProvider();
    if (provider === seen) return instruments;
    seen = provider;
    instruments = undefined;
    const meter = provider.getMeter(scope.name, undefined, { schemaUrl: scope.schemaUrl });
    if (meter !== createNoopMeter()) instruments = make(meter);
    return instruments;
  };
}

/**
 * A server starts to serve a request: counts it as active.
 *
 * @param method a known one, or `_OTHER`
 * @param scheme of the original request as far as it can be believed: anyone can send `Forwarded`,
 * and each new scheme would be a new series
 */
export function startServing(
  instruments: ServerInstruments,
  method: string,
  scheme: string,
  context: Context,
): Measured<ServerInstruments> {
  const attributes = { [ATTR_HTTP_REQUEST_METHOD]: method, [ATTR_URL_SCHEME]: scheme };
  instruments.active.add(1, attributes, context);
  return { instruments, started: performance.now(), attributes };
}

/** A client starts a request, of which these are the attributes of its span. */
export function startFetching(
  instruments: ClientInstruments | undefined,
  span: Attributes,
): Measured<ClientInstruments> | undefined {
  return instruments && {
    instruments,
    started: performance.now(),
    attributes: {
      [ATTR_HTTP_REQUEST_METHOD]: span[ATTR_HTTP_REQUEST_METHOD],
      [ATTR_SERVER_ADDRESS]: span[ATTR_SERVER_ADDRESS],
      [ATTR_SERVER_PORT]: span[ATTR_SERVER_PORT],
    },
  };
}

/** What is known of a request when it is over. */
export interface Completion {
  /** Undefined when there was no response. */
  readonly status: number | undefined;
  /** Undefined when it was no error. */
  readonly errorType: string | undefined;
  /** The matched route; undefined for clients and where it is not known. */
  readonly route?: string | undefined;
  /** `1.1`, `2`; undefined where the runtime does not say. */
  readonly protocolVersion?: string | undefined;
}

/**
 * Records the duration of a request that is over.
 *
 * @param ended ms, by `performance.now()`
 * @param context with the span of the request, for the exemplars
 */
export function recordDuration(
  measured: Measured<ClientInstruments>,
  ended: number,
  { status, errorType, route, protocolVersion }: Completion,
  context: Context,
): void {
  const attributes = { ...measured.attributes };
  if (status !== undefined) attributes[ATTR_HTTP_RESPONSE_STATUS_CODE] = status;
  if (errorType !== undefined) attributes[ATTR_ERROR_TYPE] = errorType;
  if (route !== undefined) attributes[ATTR_HTTP_ROUTE] = route;
  if (protocolVersion !== undefined) attributes[ATTR_NETWORK_PROTOCOL_VERSION] = protocolVersion;
  measured.instruments.duration.record((ended - measured.started) / 1000, attributes, context);
}

/** A server is done with a request: counts it out and records its duration. */
export function stopServing(
  measured: Measured<ServerInstruments>,
  ended: number,
  completion: Completion,
  context: Context,
): void {
  measured.instruments.active.add(-1, measured.attributes, context);
  recordDuration(measured, ended, completion, context);
}
