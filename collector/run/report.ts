/**
 * What a program that crashed was doing, for people: open spans as a tree, last log records, losses.
 *
 * @module
 */
import { formatDuration, formatEvent } from "../print/spans.ts";
import {
  BOLD,
  CYAN,
  DIM,
  formatAttributes,
  hex,
  MAX_VALUE,
  paint,
  type PrintStyle,
  YELLOW,
} from "../print/values.ts";
import { word } from "../text/text.ts";
import { INTERRUPTED_KEY, type Memory, type OpenSpan } from "./remember.ts";

/** Spans of the tree. */
const MAX_LINES = 100;

/** Events of a span. */
const MAX_EVENTS = 3;

/** Counts that are not in the program's files: by what to call them. */
export type Losses = ReadonlyMap<string, number>;

/** The lines of a report, without line breaks. */
export function report(memory: Memory, losses: Losses, style: PrintStyle): string[] {
  const { open, moreOpen, refused } = memory;
  const heading = (text: string): string => paint(style, BOLD, text);
  if (memory.files === 0) {
    return ["It recorded nothing: OTEL_LOG_LEVEL=debug has the SDK say more."];
  }
  const lines = [heading("Open spans:")];
  if (open.length === 0) lines.push("  none");
  else lines.push(...tree(open, moreOpen, style));
  lines.push(heading("Last log records:"));
  const logs = memory.lastLogs(style);
  lines.push(...(logs.length === 0 ? ["none"] : logs).map((line) => `  ${line}`));
  lines.push(heading("Lost:"));
  const lost = [...refused, ...losses].filter(([, count]) => count > 0);
  lines.push(...(lost.length === 0 ? ["  nothing"] : lost.map(([what, n]) => `  ${n} ${what}`)));
  return lines;
}

function tree(open: readonly OpenSpan[], moreOpen: number, style: PrintStyle): string[] {
  const byStart = [...open].sort((a, b) =>
    a.span.startTimeUnixNano < b.span.startTimeUnixNano ? -1 : 1
  );
  const children = new Map<string, OpenSpan[]>();
  const ids = new Set(byStart.map(({ span }) => idOf(span.traceId, span.spanId)));
  const roots: OpenSpan[] = [];
  for (const each of byStart) {
    const parent = idOf(each.span.traceId, each.span.parentSpanId);
    if (!ids.has(parent)) roots.push(each);
    else children.set(parent, [...children.get(parent) ?? [], each]);
  }
  const lines: string[] = [];
  const shown = new Set<OpenSpan>();
  // On a stack of our own: the depth is up to the program.
  const visit = (root: OpenSpan): void => {
    const waiting = [{ each: root, prefix: "  ", rest: "  " }];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const { each, prefix, rest } = next;
      if (shown.has(each) || lines.length >= MAX_LINES) continue;
      shown.add(each);
      lines.push(prefix + line(each, each === root, style));
      const below = children.get(idOf(each.span.traceId, each.span.spanId)) ?? [];
      for (let i = below.length - 1; i >= 0; i--) {
        const last = i === below.length - 1;
        waiting.push({
          each: below[i],
          prefix: `${rest}${last ? "└─ " : "├─ "}`,
          rest: `${rest}${last ? "   " : "│  "}`,
        });
      }
    }
  };
  for (const root of roots) visit(root);
  // Spans that are each other's ancestors hang on no root.
  for (const each of byStart) if (!shown.has(each)) visit(each);
  const hidden = open.length - shown.size + moreOpen;
  return hidden === 0 ? lines : [...lines, `  … and ${hidden} more`];
}

function idOf(traceId: Uint8Array, spanId: Uint8Array): string {
  return `${hex(traceId)}/${hex(spanId)}`;
}

function line({ service, span }: OpenSpan, isRoot: boolean, style: PrintStyle): string {
  const attributes = span.attributes.filter(({ key }) => key !== INTERRUPTED_KEY);
  const parts = [
    ...isRoot ? [paint(style, CYAN, service)] : [],
    paint(style, BOLD, word(span.name, MAX_VALUE)),
    paint(style, YELLOW, formatDuration(span)),
    ...isRoot ? [paint(style, DIM, `trace=${hex(span.traceId)}`)] : [],
  ];
  if (attributes.length + span.droppedAttributesCount > 0) {
    parts.push(formatAttributes(attributes, span.droppedAttributesCount));
  }
  // The last ones say how far it came.
  parts.push(...span.events.slice(-MAX_EVENTS).map(formatEvent));
  return parts.join(" ");
}
