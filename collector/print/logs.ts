/**
 * Log records for people: one line each.
 *
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import { ExportLogsServiceRequestSchema, type LogRecord } from "../../proto/gen/otlp_pb.ts";
import { quoted, word } from "../text/text.ts";
import {
  BOLD,
  CYAN,
  DIM,
  formatAttributes,
  formatTime,
  formatValue,
  hex,
  MAX_VALUE,
  paint,
  type PrintStyle,
  RED,
  serviceName,
  YELLOW,
} from "./values.ts";
import { DECODING } from "../send/decoding.ts";

/** Lowest severity numbers of the ranges that look alike. */
const ERROR = 17;
const WARN = 13;
const NAMES = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

/** What a severity number is called (OpenTelemetry logs data model, "Severity Fields"). */
export function severityName(number: number): string {
  // Four numbers to a name.
  return NAMES[Math.floor((number - 1) / 4)] ?? "-";
}

function formatSeverity(log: LogRecord, style: PrintStyle): string {
  const { severityNumber: number, severityText: text } = log;
  const name = severityName(number);
  const shown = text === "" ? name : word(text, MAX_VALUE);
  if (number >= ERROR) return paint(style, RED, shown);
  return number >= WARN ? paint(style, YELLOW, shown) : shown;
}

/** One log record, without a line break. */
export function formatLog(log: LogRecord, service: string, style: PrintStyle): string {
  const time = log.timeUnixNano === 0n ? log.observedTimeUnixNano : log.timeUnixNano;
  const parts = [
    paint(style, DIM, formatTime(time)),
    formatSeverity(log, style),
    paint(style, CYAN, service),
  ];
  if (log.eventName !== "") parts.push(paint(style, BOLD, word(log.eventName, MAX_VALUE)));
  const body = log.body?.value;
  if (body?.case === "stringValue") parts.push(quoted(body.value, MAX_BODY));
  else if (body !== undefined) parts.push(formatValue(log.body));
  if (log.traceId.length > 0) {
    parts.push(paint(style, DIM, `trace=${hex(log.traceId)}`));
  }
  if (log.attributes.length + log.droppedAttributesCount > 0) {
    parts.push(formatAttributes(log.attributes, log.droppedAttributesCount));
  }
  return parts.join(" ");
}

/** Text of a body is cut after this many UTF-16 units. */
const MAX_BODY = 500;

/**
 * A line for each log record of an ExportLogsServiceRequest: time (or when it was observed), severity,
 * service, event name, body, trace id, attributes.
 */
export function formatLogs(body: Uint8Array, style: PrintStyle): string {
  const request = fromBinary(ExportLogsServiceRequestSchema, body, DECODING);
  let lines = "";
  for (const { resource, scopeLogs } of request.resourceLogs) {
    const service = serviceName(resource?.attributes);
    for (const { logRecords } of scopeLogs) {
      for (const log of logRecords) lines += formatLog(log, service, style) + "\n";
    }
  }
  return lines;
}
