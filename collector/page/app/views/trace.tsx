/**
 * One trace.
 *
 * @module
 */
import type { JSX } from "preact";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Log, Paged } from "../../../store/queries/types.ts";
import type { TraceNow } from "../../live-types.ts";
import { type Address, first, formatAddress } from "../logic/address.ts";
import { criticalPath, segmentsBySpan } from "../logic/critical-path.ts";
import { count, several } from "../logic/numbers.ts";
import { searchTree } from "../logic/search.ts";
import { dateTime, duration, toMs } from "../logic/time.ts";
import { above, buildTree, shown, type Tree } from "../logic/tree.ts";
import { question, useAnswer } from "../data/api.ts";
import { useVersion } from "../data/live.ts";
import { useGrowing } from "../data/open-spans.ts";
import { change } from "../data/use-address.ts";
import { LogLines } from "../parts/log-lines.tsx";
import { Minimap } from "../parts/minimap.tsx";
import { SpanDetails } from "../parts/span-details.tsx";
import { Empty, Failed } from "../parts/states.tsx";
import { Name, Service } from "../parts/text.tsx";
import { Waterfall, type Zoom } from "../parts/waterfall.tsx";
import { chooseOther } from "./traces.tsx";

/** Collapsed spans are in the address as long as it stays short. */
const COLLAPSED_IN_ADDRESS = 40;

function byIds(tree: Tree, ids: ReadonlySet<string>): Set<number> {
  return new Set(tree.nodes.filter(({ span }) => ids.has(span.spanId)).map(({ index }) => index));
}

/** Records by the span they belong to. */
function logsBySpan(logs: readonly Log[]): Map<string, Log[]> {
  const out = new Map<string, Log[]>();
  for (const log of logs) {
    const list = out.get(log.spanId);
    if (list) list.push(log);
    else out.set(log.spanId, [log]);
  }
  return out;
}

/** The view of a trace. */
export function TraceView({ address, traceId }: {
  address: Address;
  traceId: string;
}): JSX.Element {
  const [fresh, setFresh] = useState(true);
  const version = useVersion(fresh, 2000);
  const answer = useAnswer<TraceNow>(question(["traces", traceId]), version);
  const logs = useAnswer<Paged<Log>>(question(["logs"], { traceId, limit: 1000 }), version);
  const trace = answer.data;
  const { spans, open } = useGrowing(traceId, trace);
  const tree = useMemo(() => buildTree(spans), [spans]);
  // A trace that ended long ago is not asked for again.
  useEffect(() => {
    const end = spans.length > 0 ? toMs(tree.startNs) + tree.length : Date.now();
    setFresh(open > 0 || Date.now() - end < 60_000);
  }, [tree, open]);
  if (tree.nodes.length > 0) {
    return (
      <Loaded
        address={address}
        traceId={traceId}
        trace={trace}
        tree={tree}
        open={open}
        logs={logs.data?.rows ?? []}
      />
    );
  }
  return (
    <>
      <h1>Trace</h1>
      {answer.loading
        ? <p class="loading" role="status">Loading…</p>
        : answer.error !== undefined && !answer.missing
        ? <Failed error={answer.error} />
        : (
          <Empty title="This trace is not in the store.">
            <p>
              It may not have arrived yet, or was removed by age or size.{" "}
              <a href={formatAddress(["traces"])}>Search for traces</a>
            </p>
          </Empty>
        )}
    </>
  );
}

function Loaded({ address, traceId, trace, tree, open, logs }: {
  address: Address;
  traceId: string;
  trace: TraceNow | undefined;
  tree: Tree;
  open: number;
  logs: readonly Log[];
}): JSX.Element {
  const [collapsedIds, setCollapsedIds] = useState<ReadonlySet<string>>(
    () => new Set(first(address, "closed").split(",").filter((id) => id !== "")),
  );
  const collapsed = useMemo(() => byIds(tree, collapsedIds), [tree, collapsedIds]);
  const rows = useMemo(() => shown(tree, collapsed), [tree, collapsed]);
  const path = useMemo(() => criticalPath(tree), [tree]);
  const critical = useMemo(() => segmentsBySpan(path), [path]);
  const ofSpans = useMemo(() => logsBySpan(logs), [logs]);
  const inTime = useMemo(
    () => [...logs].sort((a, b) => BigInt(a.timeNs) < BigInt(b.timeNs) ? -1 : 1),
    [logs],
  );
  const search = first(address, "q");
  const found = useMemo(() => searchTree(tree, search), [tree, search]);
  const foundSet = useMemo(() => new Set(found), [found]);
  const spanId = first(address, "span");
  const selected = useMemo(
    () => spanId === "" ? -1 : tree.nodes.findIndex(({ span }) => span.spanId === spanId),
    [tree, spanId],
  );
  const field = useRef<HTMLInputElement>(null);

  const collapse = (ids: ReadonlySet<string>): void => {
    setCollapsedIds(ids);
    change({ closed: ids.size <= COLLAPSED_IN_ADDRESS ? [...ids].join(",") : "" });
  };
  // What the rows get must stay the same from one rendering to the next.
  const latest = useRef({ tree, collapsedIds, collapse });
  latest.current = { tree, collapsedIds, collapse };
  const select = useCallback((index: number): void => {
    const now = latest.current;
    const node = now.tree.nodes[index];
    if (!node) return;
    const hidden = above(now.tree, index).map((at) => now.tree.nodes[at]!.span.spanId)
      .filter((id) => now.collapsedIds.has(id));
    if (hidden.length > 0) {
      now.collapse(new Set([...now.collapsedIds].filter((id) => !hidden.includes(id))));
    }
    change({ span: node.span.spanId });
  }, []);
  const toggle = useCallback((index: number): void => {
    const now = latest.current;
    const id = now.tree.nodes[index]!.span.spanId;
    const next = new Set(now.collapsedIds);
    if (!next.delete(id)) next.add(id);
    now.collapse(next);
  }, []);

  const [from, to] = first(address, "zoom").split("~").map(Number);
  const zoom = useMemo<Zoom>(
    () =>
      from! >= 0 && to! > from!
        ? { from: from!, to: to! }
        : { from: 0, to: Math.max(tree.length, 1e-6) },
    [from, to, tree],
  );
  const setZoom = (next: Zoom | null): void =>
    change({ zoom: next ? `${next.from.toFixed(6)}~${next.to.toFixed(6)}` : "" });

  const step = (places: readonly number[], by: 1 | -1): void => {
    if (places.length === 0) return;
    const next = by > 0
      ? places.find((place) => place > selected) ?? places[0]!
      : places.findLast((place) => place < selected) ?? places.at(-1)!;
    select(next);
  };
  // Before the next key: an effect would come after the next picture.
  useLayoutEffect(() => {
    const listen = (event: KeyboardEvent): void => {
      const target = event.target as HTMLElement;
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (/^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName)) return;
      if (event.key === "/") field.current?.focus();
      else if (event.key === "n") step(found, 1);
      else if (event.key === "N") step(found, -1);
      else if (event.key === "Escape") change({ span: "" });
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  });

  const root = tree.nodes[0]!;
  const errors = useMemo(
    () => tree.nodes.filter(({ span }) => span.status === "error").map(({ index }) => index),
    [tree],
  );
  const cutOff = tree.nodes.filter(({ span }) => span.interrupted).map(({ index }) => index);
  const onPath = useMemo(() => [...critical.keys()].sort((a, b) => a - b), [critical]);
  const services = new Set(tree.nodes.map(({ span }) => span.service)).size;
  const node = tree.nodes[selected];
  return (
    <>
      <div class="head">
        <h1>
          <Service name={root.span.service} /> <Name text={root.span.name} />
        </h1>
        <p class="muted facts-line">
          {dateTime(toMs(tree.startNs))} · {duration(tree.length * 1e6)} ·{" "}
          {several(tree.nodes.length, "span")} · {several(services, "service")} ·{" "}
          <code>{traceId}</code>
        </p>
      </div>
      <div class="toolbar" role="toolbar" aria-label="Trace">
        <label class="field inline">
          <span class="hidden">Search in the trace</span>
          <input
            ref={field}
            type="search"
            placeholder="Search in trace ( / )"
            value={search}
            spellcheck={false}
            onInput={({ currentTarget }) => change({ q: currentTarget.value })}
            onKeyDown={(event) => {
              if (event.key === "Enter") step(found, event.shiftKey ? -1 : 1);
            }}
          />
        </label>
        {search !== "" && (
          <span class="hint" role="status">
            {found.length === 0 ? "nothing found" : `${count(found.length)} found`}
          </span>
        )}
        {errors.length > 0 && (
          <button type="button" class="bad" onClick={() => step(errors, 1)}>
            Next error <span class="muted">{count(errors.length)}</span>
          </button>
        )}
        {cutOff.length > 0 && (
          <button type="button" class="bad" onClick={() => step(cutOff, 1)}>
            Next cut off <span class="muted">{count(cutOff.length)}</span>
          </button>
        )}
        <button type="button" onClick={() => step(onPath, 1)}>Next on critical path</button>
        <button
          type="button"
          onClick={() =>
            collapse(
              collapsed.size > 0 ? new Set() : new Set(
                tree.nodes.filter(({ below, depth }) => below > 0 && depth > 0)
                  .map(({ span }) => span.spanId),
              ),
            )}
        >
          {collapsed.size > 0 ? "Expand all" : "Collapse"}
        </button>
        {first(address, "zoom") !== "" && (
          <button type="button" onClick={() => setZoom(null)}>Whole trace</button>
        )}
        <span class="spread"></span>
        <button type="button" onClick={() => chooseOther(traceId, root.span.name)}>Compare…</button>
        <a
          class="button"
          href={question(["traces", traceId, "otlp.json"])}
          download={`${traceId}.otlp.json`}
        >
          OTLP
        </a>
        <a
          class="button"
          href={question(["traces", traceId, "perfetto.json"])}
          download={`${traceId}.perfetto.json`}
          title="Open the file at ui.perfetto.dev"
        >
          Perfetto
        </a>
      </div>
      {open > 0 && (
        <p class="note open" role="status">
          {open === 1 ? "1 span is" : `${count(open)} spans are`} still open.
        </p>
      )}
      <Minimap tree={tree} zoom={zoom} onZoom={setZoom} />
      <div class={`split ${node ? "with-details" : ""}`}>
        <Waterfall
          tree={tree}
          rows={rows}
          zoom={zoom}
          selected={selected}
          collapsed={collapsed}
          critical={critical}
          logs={ofSpans}
          found={foundSet}
          label="Spans"
          onSelect={select}
          onToggle={toggle}
        />
        {node && (
          <SpanDetails
            key={node.span.spanId}
            node={node}
            trace={trace}
            startNs={tree.startNs}
            logs={ofSpans.get(node.span.spanId) ?? []}
            onClose={() => change({ span: "" })}
            onZoom={() => {
              const margin = Math.max((node.end - node.start) * 0.05, 1e-4);
              setZoom({ from: Math.max(0, node.start - margin), to: node.end + margin });
            }}
          />
        )}
      </div>
      <p class="legend-line">
        <span>
          <i class="sample critical-sample"></i> critical path
        </span>
        <span>
          <i class="sample event-sample"></i> event
        </span>
        <span>
          <i class="sample log-sample"></i> log record
        </span>
        <span>
          <i class="sample cut-sample"></i> cut off by a crash
        </span>
        <span class="keys">
          <kbd>↑</kbd> <kbd>↓</kbd> move <kbd>←</kbd> <kbd>→</kbd> fold <kbd>/</kbd> search{" "}
          <kbd>n</kbd> next
        </span>
      </p>
      {inTime.length > 0 && (
        <section aria-labelledby="trace-logs">
          <h2 id="trace-logs">
            Logs of this trace <span class="muted">{count(inTime.length)}</span>
          </h2>
          <LogLines
            logs={inTime}
            startNs={tree.startNs}
            label="Logs of the trace"
            onSpan={(id) => select(tree.nodes.findIndex(({ span }) => span.spanId === id))}
          />
        </section>
      )}
    </>
  );
}
