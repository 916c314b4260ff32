/**
 * What the collector adds to spans and log records on its own account, as encoded fields.
 *
 * @module
 */
import {
  AnyValue,
  BYTES,
  OtlpKeyValue,
  OtlpLogRecord,
  OtlpSpan,
  Status,
  tag,
  VARINT,
} from "../format/fields.ts";

/** A field of attributes with a key and the value true. */
function trueAttribute(field: number, key: string): Uint8Array {
  const text = new TextEncoder().encode(key);
  const bytes = [tag(OtlpKeyValue.key, BYTES), text.length, ...text];
  bytes.push(tag(OtlpKeyValue.value, BYTES), 2, tag(AnyValue.bool, VARINT), 1);
  return Uint8Array.of(tag(field, BYTES), bytes.length, ...bytes);
}

/** Part of the span was cut off to fit a slot. */
export const TRUNCATED_SPAN: Uint8Array = trueAttribute(
  OtlpSpan.attributes,
  "otlp_mmap.truncated",
);
/** Part of the log record was cut off to fit its slot. */
export const TRUNCATED_LOG: Uint8Array = trueAttribute(
  OtlpLogRecord.attributes,
  "otlp_mmap.truncated",
);
/** The end of the span was not recorded. */
export const INTERRUPTED: Uint8Array = trueAttribute(
  OtlpSpan.attributes,
  "otlp_mmap.interrupted",
);

/** The start of the span was discarded: its start time, parent and kind are not known. */
export const PARTIAL: Uint8Array = trueAttribute(
  OtlpSpan.attributes,
  "otlp_mmap.partial",
);

/** Field `name` of a span whose start was discarded, and that had no other name afterwards. */
export const PARTIAL_NAME: Uint8Array = namedField("(start discarded)");

function namedField(name: string): Uint8Array {
  const text = new TextEncoder().encode(name);
  return Uint8Array.of(tag(OtlpSpan.name, BYTES), text.length, ...text);
}

/** Field `status` of an error. */
function errorStatus(message: string): Uint8Array {
  const text = new TextEncoder().encode(message);
  const bytes = [tag(Status.message, BYTES), text.length, ...text, tag(Status.code, VARINT), 2];
  return Uint8Array.of(tag(OtlpSpan.status, BYTES), bytes.length, ...bytes);
}

/** Why a span has no end. */
export const INTERRUPTIONS = {
  died: errorStatus("the process ended before the span did"),
  closed: errorStatus("the process shut down before the span ended"),
  evicted: errorStatus("the collector held too many open spans"),
  open: errorStatus("the span was still open when its file was read"),
} as const;
