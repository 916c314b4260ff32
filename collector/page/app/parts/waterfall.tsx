/**
 * The spans of a trace as bars over time. Only rows in sight are in the document, so that the number
 * of spans does not matter.
 *
 * @module
 */
import type { JSX } from "preact";
import { memo } from "./memo.ts";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Log } from "../../../store/queries/types.ts";
import type { Segment } from "../logic/critical-path.ts";
import { count } from "../logic/numbers.ts";
import { severity } from "../logic/severity.ts";
import { duration, msBetween, ticks } from "../logic/time.ts";
import type { Node, Tree } from "../logic/tree.ts";
import { useNarrow } from "../data/use-narrow.ts";
import { nameText, serviceColour } from "./text.tsx";

/** The stretch of a trace that is drawn, in milliseconds since its start. */
export interface Zoom {
  readonly from: number;
  readonly to: number;
}

/** Rows are rendered so many at a time: most scrolling then changes nothing in the document. */
const CHUNK = 6;

/** What a waterfall shows and tells. */
export interface WaterfallProps {
  readonly tree: Tree;
  /** Places of the rows to show, in order. */
  readonly rows: readonly number[];
  readonly zoom: Zoom;
  readonly selected: number;
  readonly collapsed: ReadonlySet<number>;
  readonly critical: ReadonlyMap<number, readonly Segment[]>;
  readonly logs: ReadonlyMap<string, readonly Log[]>;
  readonly found: ReadonlySet<number>;
  /** What is added after the duration of a span. */
  readonly note?: (index: number) => string;
  readonly label: string;
  readonly onSelect: (index: number) => void;
  readonly onToggle: (index: number) => void;
}

/** The waterfall. */
export function Waterfall(props: WaterfallProps): JSX.Element {
  const { tree, rows, zoom, selected, collapsed, label } = props;
  const narrow = useNarrow();
  const height = narrow ? 38 : 24;
  const scroller = useRef<HTMLDivElement>(null);
  const [sight, setSight] = useState({ first: 0, count: 60 });
  const id = useRef(`w${Math.random().toString(36).slice(2, 8)}`).current;

  const look = (): void => {
    const element = scroller.current;
    if (!element) return;
    const first = Math.max(0, Math.floor(element.scrollTop / height / CHUNK - 1) * CHUNK);
    const shown = Math.ceil(element.clientHeight / height / CHUNK + 2.5) * CHUNK;
    setSight((before) =>
      before.first === first && before.count === shown ? before : { first, count: shown }
    );
  };
  useLayoutEffect(() => {
    look();
    const observer = new ResizeObserver(look);
    observer.observe(scroller.current!);
    return () => observer.disconnect();
  }, [height]);

  const at = rows.indexOf(selected);
  useEffect(() => {
    const element = scroller.current!;
    if (at < 0) return;
    const head = 24;
    const top = at * height;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + height + head > element.scrollTop + element.clientHeight) {
      element.scrollTop = top + height + head - element.clientHeight / 2;
    }
  }, [at, height]);

  const move = (to: number): void => {
    const index = rows[Math.min(Math.max(to, 0), rows.length - 1)];
    if (index !== undefined) props.onSelect(index);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const node = tree.nodes[selected];
    switch (event.key) {
      case "ArrowDown":
      case "j":
        move(at + 1);
        break;
      case "ArrowUp":
      case "k":
        move(at < 0 ? 0 : at - 1);
        break;
      case "PageDown":
        move(at + 20);
        break;
      case "PageUp":
        move(at - 20);
        break;
      case "Home":
        move(0);
        break;
      case "End":
        move(rows.length - 1);
        break;
      case "ArrowRight":
        if (!node || node.below === 0) return;
        if (collapsed.has(selected)) props.onToggle(selected);
        else move(at + 1);
        break;
      case "ArrowLeft":
        if (!node) return;
        if (node.below > 0 && !collapsed.has(selected)) props.onToggle(selected);
        else if (node.parent >= 0) props.onSelect(node.parent);
        break;
      case "Enter":
      case " ":
        if (!node || node.below === 0) return;
        props.onToggle(selected);
        break;
      default:
        return;
    }
    event.preventDefault();
  };

  const length = zoom.to - zoom.from;
  const inSight = rows.slice(sight.first, sight.first + sight.count);
  const shownSelection = at >= sight.first && at < sight.first + sight.count;
  return (
    <div
      class={`waterfall ${narrow ? "narrow" : ""}`}
      ref={scroller}
      role="tree"
      aria-label={label}
      aria-activedescendant={shownSelection ? `${id}-${selected}` : undefined}
      style={{ "--content": `${Math.max(3, rows.length) * height + 28}px` }}
      tabIndex={0}
      onScroll={look}
      onKeyDown={onKeyDown}
    >
      <div class="ruler" role="presentation">
        <div class="ruler-scale">
          {ticks(length, narrow ? 3 : 6).map((tick) => (
            <span key={tick} style={{ left: `${tick / length * 100}%` }}>
              {tick + zoom.from === 0 ? "0" : duration((tick + zoom.from) * 1e6)}
            </span>
          ))}
        </div>
      </div>
      <div class="rows" role="presentation" style={{ height: `${rows.length * height}px` }}>
        {inSight.map((index, i) => {
          const node = tree.nodes[index]!;
          return (
            <Row
              key={index}
              id={`${id}-${index}`}
              node={node}
              top={(sight.first + i) * height}
              from={zoom.from}
              length={length}
              startNs={tree.startNs}
              selected={index === selected}
              closed={collapsed.has(index)}
              found={props.found.has(index)}
              segments={props.critical.get(index)}
              logs={props.logs.get(node.span.spanId)}
              note={props.note?.(index) ?? ""}
              onSelect={props.onSelect}
              onToggle={props.onToggle}
            />
          );
        })}
      </div>
    </div>
  );
}

interface RowProps {
  readonly id: string;
  readonly node: Node;
  readonly top: number;
  readonly from: number;
  readonly length: number;
  readonly startNs: string;
  readonly selected: boolean;
  readonly closed: boolean;
  readonly found: boolean;
  readonly segments: readonly Segment[] | undefined;
  readonly logs: readonly Log[] | undefined;
  readonly note: string;
  readonly onSelect: (index: number) => void;
  readonly onToggle: (index: number) => void;
}

/** Marks beyond this many in a row would cover each other. */
const MARKS = 60;

const Row = memo(function Row(props: RowProps): JSX.Element {
  const { node, from, length, closed } = props;
  const { span } = node;
  const place = (ms: number): number => (ms - from) / length * 100;
  const start = place(node.start);
  const end = place(node.end);
  const left = Math.min(Math.max(start, 0), 100);
  const right = Math.min(Math.max(end, 0), 100);
  const state = span.open
    ? "open"
    : span.interrupted
    ? "cut"
    : span.status === "error"
    ? "bad"
    : "";
  const took = span.open
    ? `open for ${duration(span.durationNs)}`
    : span.interrupted
    ? `cut off after ${duration(span.durationNs)}`
    : duration(span.durationNs);
  const side = end <= 72 ? "after" : start >= 30 ? "before" : "inside";
  const at = (timeNs: string): number => place(msBetween(props.startNs, timeNs));
  const inView = (value: number): boolean => value >= 0 && value <= 100;
  return (
    <div
      id={props.id}
      class={`row ${props.selected ? "selected" : ""} ${props.found ? "found" : ""} ${state}`}
      style={{ top: `${props.top}px` }}
      role="treeitem"
      aria-level={node.depth + 1}
      aria-selected={props.selected}
      aria-description={props.segments ? "on the critical path" : undefined}
      aria-expanded={node.below > 0 ? !closed : undefined}
      onClick={() => props.onSelect(node.index)}
      onDblClick={() => node.below > 0 && props.onToggle(node.index)}
    >
      <div class="row-name" style={{ paddingLeft: `${Math.min(node.depth, 24) * 12 + 2}px` }}>
        {node.below > 0
          ? (
            <span
              class={`twist ${closed ? "closed" : ""}`}
              aria-hidden="true"
              onClick={(event) => {
                event.stopPropagation();
                props.onToggle(node.index);
              }}
            >
              {closed ? `+${count(node.below)}` : ""}
            </span>
          )
          : <span class="leaf" aria-hidden="true"></span>}
        <span class={`dot ${serviceColour(span.service)}`} aria-hidden="true"></span>
        {span.status === "error" && <span class="bang" aria-hidden="true">!</span>}
        <span class="name">{nameText(span.name)}</span>
        {span.status === "error" && <span class="hidden">error</span>}
        <span class="row-service">
          {node.orphan && (
            <span class="badge quiet" title="Its parent is not in the store">no parent</span>
          )}
          {nameText(span.service)}
        </span>
        {closed && node.errors > 0 && span.status !== "error" && (
          <span class="badge bad">{count(node.errors)}</span>
        )}
      </div>
      <div class="row-bars">
        {right >= 0 && left <= 100 && end >= 0 && start <= 100 && (
          <span
            class={`bar ${serviceColour(span.service)} ${state}`}
            style={{ left: `${left}%`, width: `${Math.max(0, right - left)}%` }}
          >
          </span>
        )}
        {props.segments?.map((segment) => {
          const a = Math.max(0, place(segment.from));
          const b = Math.min(100, place(segment.to));
          return b > a && (
            <span
              key={segment.from}
              class="critical"
              style={{ left: `${a}%`, width: `${b - a}%` }}
            >
            </span>
          );
        })}
        {span.events.slice(0, MARKS).map((event, i) =>
          inView(at(event.timeNs)) && (
            <span
              key={i}
              class={`event ${event.name === "exception" ? "bad" : ""}`}
              style={{ left: `${at(event.timeNs)}%` }}
              title={event.name.slice(0, 200)}
            >
            </span>
          )
        )}
        {props.logs?.slice(0, MARKS).map((log) =>
          inView(at(log.timeNs)) && (
            <span
              key={log.id}
              class={`log-mark ${severity(log.severity)}`}
              style={{ left: `${at(log.timeNs)}%` }}
              title={(log.body.stringValue ?? "log record").slice(0, 200)}
            >
            </span>
          )
        )}
        {end >= 0 && start <= 100 && (
          <span
            class={`took ${side}`}
            style={side === "after"
              ? { left: `${right}%` }
              : side === "before"
              ? { right: `${100 - left}%` }
              : { left: `${left}%` }}
          >
            {took}
            {props.note !== "" && <b>{props.note}</b>}
            {span.links.length > 0 && (
              <i>{span.links.length === 1 ? "1 link" : `${span.links.length} links`}</i>
            )}
          </span>
        )}
      </div>
    </div>
  );
});
