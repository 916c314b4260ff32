/**
 * Spans as trees: kept until the root of their trace is there, within bounds of time and memory.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Span } from "../../proto/gen/otlp_pb.ts";
import { formatDuration, formatStatus } from "../print/spans.ts";
import {
  BOLD,
  CYAN,
  DIM,
  formatAttributes,
  formatTime,
  MAX_VALUE,
  paint,
  type PrintStyle,
  YELLOW,
} from "../print/values.ts";
import { word } from "../text/text.ts";

/** A span of a tree. */
interface Item {
  readonly span: Span;
  readonly service: string;
  /** It is what was looked for. */
  readonly wanted: boolean;
}

interface Trace {
  readonly items: Item[];
  /** When its tree is due, ms. */
  due: number;
}

/** Bounds. */
export interface TreeLimits {
  /** After the root has ended, for children that end later or are read later, ms. */
  readonly graceMs: number;
  /** Without a root, after the last span that came: it is elsewhere, ms. */
  readonly patienceMs: number;
  /** Spans that are kept; beyond, the trace that came first goes out as it is. */
  readonly spans: number;
}

/** Bounds that a person who watches does not notice. */
export const TREE_LIMITS: TreeLimits = { graceMs: 300, patienceMs: 10_000, spans: 50_000 };
/** Levels that are indented. */
const MAX_INDENT = 40;

/** The traces that are not printed yet. */
export class Trees {
  private readonly traces = new Map<string, Trace>();
  private readonly limits: TreeLimits;
  private readonly style: PrintStyle;
  private count = 0;

  /** @param limits See TreeLimits. */
  constructor(style: PrintStyle, limits: TreeLimits = TREE_LIMITS) {
    this.style = style;
    this.limits = limits;
  }

  /** Adds a span. Returns what has to go out to make room for it. */
  add(span: Span, service: string, wanted: boolean, now: number): string {
    let text = "";
    while (this.count >= this.limits.spans) {
      const [[id]] = this.traces;
      text += this.take(id);
    }
    const id = hex(span.traceId);
    const trace = this.traces.get(id) ?? { items: [], due: Infinity };
    this.traces.set(id, trace);
    trace.items.push({ span, service, wanted });
    this.count++;
    const hasRoot = trace.items.some(({ span }) => span.parentSpanId.length === 0);
    trace.due = now + (hasRoot ? this.limits.graceMs : this.limits.patienceMs);
    return text;
  }

  /** The trees that are due: all of them with Infinity. */
  due(now: number): string {
    let text = "";
    for (const [id, { due }] of [...this.traces]) if (due <= now) text += this.take(id);
    return text;
  }

  private take(id: string): string {
    const { items } = this.traces.get(id)!;
    this.traces.delete(id);
    this.count -= items.length;
    return items.some(({ wanted }) => wanted) ? formatTree(items, this.style) : "";
  }
}

/** Roots by time, below each its children; a span whose parent is not there is a root. */
function formatTree(items: readonly Item[], style: PrintStyle): string {
  const byId = new Map<string, Item>();
  for (const item of items) byId.set(hex(item.span.spanId), item);
  const children = new Map<string, Item[]>();
  const roots: Item[] = [];
  for (const item of byId.values()) {
    const parent = hex(item.span.parentSpanId);
    if (parent === "" || !byId.has(parent)) roots.push(item);
    else children.set(parent, [...children.get(parent) ?? [], item]);
  }
  // Spans that are each other's parents: hostile, and shown all the same.
  const seen = new Set<Item>();
  let text = "";
  const print = (first: Item): void => {
    const stack = [{ item: first, prefix: "", branch: "", depth: 0 }];
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      const { item, prefix, branch, depth } = next;
      if (seen.has(item)) continue;
      seen.add(item);
      text += formatItem(item, depth === 0, prefix + branch, style) + "\n";
      const below = byTime(children.get(hex(item.span.spanId)) ?? []);
      const deeper = depth === 0 ? "  " : branch.startsWith("├") ? "│ " : "  ";
      for (let i = below.length - 1; i >= 0; i--) {
        stack.push({
          item: below[i],
          prefix: depth < MAX_INDENT ? prefix + deeper : prefix,
          branch: i === below.length - 1 ? "└ " : "├ ",
          depth: depth + 1,
        });
      }
    }
  };
  byTime(roots).forEach(print);
  byTime([...byId.values()]).forEach((item) => seen.has(item) || print(item));
  return text;
}

function byTime(items: Item[]): Item[] {
  return items.sort((a, b) => Number(a.span.startTimeUnixNano - b.span.startTimeUnixNano));
}

function formatItem(
  { span, service }: Item,
  isRoot: boolean,
  prefix: string,
  style: PrintStyle,
): string {
  const parts: string[] = [];
  if (isRoot) {
    parts.push(paint(style, DIM, formatTime(span.startTimeUnixNano)));
    parts.push(paint(style, DIM, `trace=${hex(span.traceId)}`));
    if (span.parentSpanId.length > 0) {
      parts.push(paint(style, DIM, `parent=${hex(span.parentSpanId)}`));
    }
    parts.push("\n");
  }
  parts.push(
    ...(prefix === "" ? [] : [paint(style, DIM, prefix.trimEnd())]),
    paint(style, BOLD, word(span.name, MAX_VALUE)),
    paint(style, YELLOW, formatDuration(span)),
    paint(style, CYAN, service),
    formatStatus(span, style),
  );
  if (span.attributes.length + span.droppedAttributesCount > 0) {
    parts.push(formatAttributes(span.attributes, span.droppedAttributesCount));
  }
  return parts.join(" ").replace(" \n ", "\n");
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
