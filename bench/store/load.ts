/**
 * Requests as a few services make them: traces of eight spans in four services, ten attributes a span
 * of which one is unique and one has 100,000 values. Written as bytes, since making them must not cost
 * more than storing them.
 *
 * @module
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { ResourceSpansSchema } from "../../proto/gen/otlp_pb.ts";

/** Services, in the order in which they call each other. */
export const SERVICES: readonly string[] = ["gateway", "orders", "payments", "database"];
/** Spans in a request. */
export const SPANS_IN_REQUEST = 2_048;
/** Time between traces: 5 million spans are some two hours. */
const TRACE_NS = 12_000_000n;

const encoder = new TextEncoder();
let at = 0;
let bytes = new Uint8Array(0);
let view = new DataView(bytes.buffer);

function varint(value: number): void {
  while (value > 127) {
    bytes[at++] = (value & 127) | 128;
    value >>>= 7;
  }
  bytes[at++] = value;
}

function message(field: number, write: () => void): void {
  bytes[at++] = (field << 3) | 2;
  // Padded to two bytes or four, as the collector writes them.
  const start = at;
  at += 4;
  write();
  const length = at - start - 4;
  bytes[start] = (length & 127) | 128;
  bytes[start + 1] = ((length >> 7) & 127) | 128;
  bytes[start + 2] = ((length >> 14) & 127) | 128;
  bytes[start + 3] = length >> 21;
}

function text(field: number, value: string): void {
  bytes[at++] = (field << 3) | 2;
  const start = at++;
  const { written } = encoder.encodeInto(value, bytes.subarray(at));
  bytes[start] = written;
  at += written;
}

function attribute(key: string, value: string | number): void {
  message(9, () => {
    text(1, key);
    message(2, () => {
      if (typeof value === "string") text(1, value);
      else {
        bytes[at++] = 24;
        varint(value);
      }
    });
  });
}

function id(field: number, size: number, a: number, b: number): void {
  bytes[at++] = (field << 3) | 2;
  bytes[at++] = size;
  // Spread as random ids are, and the same in every run.
  for (let i = 0; i < size; i += 4, at += 4) {
    view.setUint32(at, Math.imul(a * 0x9e3779b1 + b * 0x85ebca6b + i * 0xc2b2ae35, 0x27d4eb2f));
  }
}

function span(trace: number, number: number, start: bigint): void {
  const service = number >> 1;
  const error = trace % 50 === 0 && number === 5;
  id(1, 16, trace + 1, 7);
  id(2, 8, trace + 1, number + 11);
  if (number > 0) id(4, 8, trace + 1, number + 10);
  text(5, number % 2 === 0 ? `GET /${SERVICES[service]}/${trace % 7}` : `call ${service}`);
  bytes[at++] = 6 << 3;
  bytes[at++] = number % 2 === 0 ? 2 : 3;
  bytes[at++] = (7 << 3) | 1;
  view.setBigUint64(at, start + BigInt(number * 50_000), true);
  at += 8;
  bytes[at++] = (8 << 3) | 1;
  const duration = 1_000_000 + ((trace * 7919) % 1_000_003) * 40 - number * 100_000;
  view.setBigUint64(at, start + BigInt(number * 50_000 + duration), true);
  at += 8;
  attribute("http.request.method", trace % 5 === 0 ? "POST" : "GET");
  attribute("http.response.status_code", error ? 500 : 200);
  attribute("url.path", `/${SERVICES[service]}/${trace % 50}`);
  attribute("server.address", `${SERVICES[service]}.internal`);
  attribute("server.port", 8_000 + service);
  attribute("user.id", `user-${(trace * 31) % 100_000}`);
  attribute("request.id", `${trace.toString(16)}-${number}`);
  attribute("thread.id", trace % 16);
  attribute("retry", trace % 3);
  attribute("region", trace % 2 === 0 ? "eu-west-1" : "us-east-1");
  if (error) message(15, () => bytes.set([24, 2], (at += 2) - 2));
}

/** The trace id that the trace with this number has, hex. */
export function traceIdOf(trace: number): string {
  bytes = new Uint8Array(32);
  view = new DataView(bytes.buffer);
  at = 0;
  id(1, 16, trace + 1, 7);
  return [...bytes.subarray(2, 18)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The request with this number: its traces follow those of the one before. */
export function makeRequest(number: number, startNs: bigint): Uint8Array {
  bytes = new Uint8Array(SPANS_IN_REQUEST * 640);
  view = new DataView(bytes.buffer);
  at = 0;
  const traces = SPANS_IN_REQUEST / 8;
  SERVICES.forEach((name, service) => {
    message(1, () => {
      const head = resource(name);
      bytes.set(head, at);
      at += head.length;
      message(2, () => {
        message(1, () => text(1, "bench"));
        for (let i = 0; i < traces; i++) {
          const trace = number * traces + i;
          const start = startNs + BigInt(trace) * TRACE_NS / 8n;
          message(2, () => span(trace, service * 2, start));
          message(2, () => span(trace, service * 2 + 1, start));
        }
      });
    });
  });
  return bytes.subarray(0, at);
}

function resource(service: string): Uint8Array {
  const values = { "service.name": service, "service.version": "1.4.2", "host.name": "bench-1" };
  const attributes = Object.entries(values).map(([key, value]) => ({
    key,
    value: { value: { case: "stringValue" as const, value } },
  }));
  return toBinary(ResourceSpansSchema, create(ResourceSpansSchema, { resource: { attributes } }));
}
