/**
 * Requests with spans taken apart, and put together from spans of several: the bytes of a span stay
 * what they are.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { fromBinary } from "@bufbuild/protobuf";
import { ResourceSchema, Status_StatusCode } from "../../proto/gen/otlp_pb.ts";
import {
  BYTES,
  FIXED64,
  OtlpResourceSpans,
  OtlpScopeSpans,
  OtlpSpan,
  Status,
  tag,
  VARINT,
} from "../../lib/format/fields.ts";
import { DECODING } from "../send/decoding.ts";
import {
  cursor,
  putVarint,
  readTag,
  readVarint,
  skipField,
  varintBytes,
} from "../../lib/record/wire.ts";

/** A resource: the fields of its ResourceSpans but for the spans. */
export interface ResourceBytes {
  readonly bytes: Uint8Array;
  /** `service.name`, or "". */
  readonly service: string;
}

/** A scope: the fields of its ScopeSpans but for the spans. */
export interface ScopeBytes {
  readonly resource: ResourceBytes;
  readonly bytes: Uint8Array;
}

/** One span. */
export interface SpanBytes {
  readonly scope: ScopeBytes;
  /** The message, a part of its request's buffer. */
  readonly bytes: Uint8Array;
  readonly traceId: Uint8Array;
  readonly isRoot: boolean;
  readonly error: boolean;
  /** ns since the epoch. */
  readonly start: bigint;
  readonly end: bigint;
}

const RESOURCE_SPANS = tag(1, BYTES);
const RESOURCE = tag(OtlpResourceSpans.resource, BYTES);
const SCOPE_SPANS = tag(OtlpResourceSpans.scopeSpans, BYTES);
const SPAN = tag(OtlpScopeSpans.spans, BYTES);

const { ERROR } = Status_StatusCode;
const NO_BYTES: Uint8Array = new Uint8Array(0);

/** Resources and scopes that are known by their bytes: those of one process come again and again. */
const MAX_KNOWN = 1000;

/** Takes requests apart; what is alike in several is one object. */
export class RequestReader {
  private readonly resources = new Map<string, ResourceBytes>();
  private readonly scopes = new Map<ResourceBytes, Map<string, ScopeBytes>>();

  /** The spans of a request that was made here. */
  read(body: Uint8Array): SpanBytes[] {
    const spans: SpanBytes[] = [];
    for (const resourceSpans of messages(body, RESOURCE_SPANS).found) {
      const { found, rest } = messages(resourceSpans, SCOPE_SPANS);
      const resource = this.resource(rest);
      for (const scopeSpans of found) {
        const { found: all, rest: head } = messages(scopeSpans, SPAN);
        const scope = this.scope(resource, head);
        for (const bytes of all) spans.push(readSpan(scope, bytes));
      }
    }
    return spans;
  }

  private resource(bytes: Uint8Array): ResourceBytes {
    const key = Buffer.from(bytes).toString("latin1");
    let resource = this.resources.get(key);
    if (resource === undefined) {
      if (this.resources.size >= MAX_KNOWN) {
        this.resources.clear();
        this.scopes.clear();
      }
      resource = { bytes, service: serviceOf(bytes) };
      this.resources.set(key, resource);
      this.scopes.set(resource, new Map());
    }
    return resource;
  }

  private scope(resource: ResourceBytes, bytes: Uint8Array): ScopeBytes {
    const known = this.scopes.get(resource)!;
    const key = Buffer.from(bytes).toString("latin1");
    let scope = known.get(key);
    if (scope === undefined) {
      if (known.size >= MAX_KNOWN) known.clear();
      scope = { resource, bytes };
      known.set(key, scope);
    }
    return scope;
  }
}

/** An ExportTraceServiceRequest with these spans. */
export function writeRequest(spans: readonly SpanBytes[]): Uint8Array {
  const groups = new Map<ResourceBytes, Map<ScopeBytes, SpanBytes[]>>();
  for (const span of spans) {
    const { resource } = span.scope;
    let scopes = groups.get(resource);
    if (scopes === undefined) groups.set(resource, scopes = new Map());
    const list = scopes.get(span.scope);
    if (list === undefined) scopes.set(span.scope, [span]);
    else list.push(span);
  }
  const sizes = new Map<object, number>();
  let total = 0;
  for (const [resource, scopes] of groups) {
    let ofResource = resource.bytes.length;
    for (const [scope, list] of scopes) {
      let ofScope = scope.bytes.length;
      for (const { bytes } of list) ofScope += fieldBytes(bytes.length);
      sizes.set(scope, ofScope);
      ofResource += fieldBytes(ofScope);
    }
    sizes.set(resource, ofResource);
    total += fieldBytes(ofResource);
  }
  const body = new Uint8Array(total);
  let at = 0;
  const open = (fieldTag: number, length: number): void => {
    body[at] = fieldTag;
    at = putVarint(body, at + 1, length);
  };
  const put = (bytes: Uint8Array): void => {
    body.set(bytes, at);
    at += bytes.length;
  };
  for (const [resource, scopes] of groups) {
    open(RESOURCE_SPANS, sizes.get(resource)!);
    put(resource.bytes);
    for (const [scope, list] of scopes) {
      open(SCOPE_SPANS, sizes.get(scope)!);
      put(scope.bytes);
      for (const { bytes } of list) {
        open(SPAN, bytes.length);
        put(bytes);
      }
    }
  }
  return body;
}

function fieldBytes(length: number): number {
  return 1 + varintBytes(length) + length;
}

/** The contents of all fields with a tag, and copies of all other fields. */
function messages(bytes: Uint8Array, wanted: number): { found: Uint8Array[]; rest: Uint8Array } {
  const found: Uint8Array[] = [];
  const others: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const start = at;
    const fieldTag = readTag(bytes, at, bytes.length);
    const value = cursor.at;
    at = skipField(bytes, value, bytes.length, fieldTag);
    // Of a field with a length, `cursor.at` is behind that now.
    if (fieldTag === wanted) found.push(bytes.subarray(cursor.at, at));
    else others.push(bytes.subarray(start, at));
  }
  return { found, rest: new Uint8Array(Buffer.concat(others)) };
}

const TRACE_ID = tag(OtlpSpan.traceId, BYTES);
const PARENT_SPAN_ID = tag(OtlpSpan.parentSpanId, BYTES);
const START_TIME = tag(OtlpSpan.startTime, FIXED64);
const END_TIME = tag(OtlpSpan.endTime, FIXED64);
const STATUS = tag(OtlpSpan.status, BYTES);
// `Status` has the same numbers in both protocols.
const STATUS_CODE = tag(Status.code, VARINT);

/** Looks at the few fields that count, since there are many spans. */
function readSpan(scope: ScopeBytes, bytes: Uint8Array): SpanBytes {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const span = { traceId: NO_BYTES, isRoot: true, error: false, start: 0n, end: 0n };
  for (let at = 0; at < bytes.length;) {
    const field = readTag(bytes, at, bytes.length);
    const fixed = cursor.at;
    at = skipField(bytes, fixed, bytes.length, field);
    const start = cursor.at;
    if (field === TRACE_ID) span.traceId = bytes.subarray(start, at);
    else if (field === PARENT_SPAN_ID) span.isRoot = start === at;
    else if (field === START_TIME) span.start = view.getBigUint64(fixed, true);
    else if (field === END_TIME) span.end = view.getBigUint64(fixed, true);
    else if (field === STATUS) span.error = statusOf(bytes.subarray(start, at)) === ERROR;
  }
  return { scope, bytes, ...span };
}

function statusOf(bytes: Uint8Array): number {
  let code = 0;
  for (let at = 0; at < bytes.length;) {
    const field = readTag(bytes, at, bytes.length);
    const value = cursor.at;
    at = skipField(bytes, value, bytes.length, field);
    if (field === STATUS_CODE) code = readVarint(bytes, value, bytes.length);
  }
  return code;
}

function serviceOf(rest: Uint8Array): string {
  const [resource] = messages(rest, RESOURCE).found;
  if (resource === undefined) return "";
  const { attributes } = fromBinary(ResourceSchema, resource, DECODING);
  const value = attributes.find(({ key }) => key === "service.name")?.value?.value;
  return value?.case === "stringValue" ? value.value : "";
}
