/**
 * What the demo's receiver makes of the OTLP it is sent.
 *
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import { Buffer } from "node:buffer";
import {
  ExportTraceServiceRequestSchema,
  type KeyValue,
  Span_SpanKind,
  Status_StatusCode,
} from "../../proto/gen/otlp_pb.ts";

/** A span, as far as the demo shows it. */
export interface DemoSpan {
  readonly service: string;
  /** Its name; of HTTP spans also the direction and the path. */
  readonly label: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  /** Start and end, ns since the Unix epoch. */
  readonly start: bigint;
  readonly end: bigint;
  readonly failed: boolean;
  /** Its process died before it ended. */
  readonly interrupted: boolean;
  readonly events: readonly string[];
}

/** The spans of one OTLP request. */
export function decodeSpans(body: Uint8Array): DemoSpan[] {
  const { resourceSpans } = fromBinary(ExportTraceServiceRequestSchema, body);
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = textOf(resource?.attributes ?? [], "service.name");
    return scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        service,
        label: labelOf(span.name, span.kind, span.attributes),
        traceId: hex(span.traceId),
        spanId: hex(span.spanId),
        parentSpanId: hex(span.parentSpanId),
        start: span.startTimeUnixNano,
        end: span.endTimeUnixNano,
        failed: span.status?.code === Status_StatusCode.ERROR,
        interrupted: span.attributes.some(({ key }) => key === "otlp_mmap.interrupted"),
        events: span.events.map(({ name }) => name),
      }))
    );
  });
}

function labelOf(name: string, kind: Span_SpanKind, attributes: readonly KeyValue[]): string {
  const method = textOf(attributes, "http.request.method");
  if (kind === Span_SpanKind.SERVER) return `serves ${method} ${textOf(attributes, "url.path")}`;
  if (kind !== Span_SpanKind.CLIENT) return name;
  return `calls ${method} ${new URL(textOf(attributes, "url.full")).pathname}`;
}

/** How words are coloured. */
export interface Paint {
  service(text: string): string;
  bad(text: string): string;
  dim(text: string): string;
}

const LABEL_WIDTH = 56;

/** One trace as lines of a tree, children under their parents in order of time. */
export function drawTrace(spans: readonly DemoSpan[], paint: Paint): string[] {
  const known = new Set(spans.map(({ spanId }) => spanId));
  const inOrder = [...spans].sort((a, b) => Number(a.start - b.start));
  const lines: string[] = [];
  const draw = (span: DemoSpan, branch: string, below: string): void => {
    const { service, label } = span;
    const padding = " ".repeat(Math.max(1, LABEL_WIDTH - `${branch}${service} ${label}`.length));
    const took = `${(Number(span.end - span.start) / 1e6).toFixed(2)} ms`.padStart(10);
    const events = span.events.length === 0 ? "" : paint.dim(`  + ${span.events.join(", ")}`);
    lines.push(
      `${paint.dim(branch)}${paint.service(service)} ${label}${padding}${took}${marks(span)}` +
        events,
    );
    const children = inOrder.filter(({ parentSpanId }) => parentSpanId === span.spanId);
    children.forEach((child, i) => {
      const last = i === children.length - 1;
      draw(child, below + (last ? "└─ " : "├─ "), below + (last ? "   " : "│  "));
    });
  };
  const marks = ({ interrupted, failed }: DemoSpan): string => {
    if (interrupted) return paint.bad("  CUT OFF: its process died here");
    return failed ? paint.bad("  ERROR") : "";
  };
  for (const span of inOrder) if (!known.has(span.parentSpanId)) draw(span, "", "");
  return lines;
}

/** The text of an attribute, "" for none. */
export function textOf(attributes: readonly KeyValue[], key: string): string {
  const value = attributes.find((attribute) => attribute.key === key)?.value?.value;
  return value?.case === "stringValue" ? value.value : "";
}

/** Bytes as hexadecimal digits. */
export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
