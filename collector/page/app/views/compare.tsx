/**
 * Two traces, one above the other, from the same start.
 *
 * @module
 */
import type { JSX } from "preact";
import { useCallback, useMemo, useRef, useState } from "preact/hooks";
import type { Log, Trace } from "../../../store/queries/types.ts";
import { formatAddress } from "../logic/address.ts";
import { counterparts, differences } from "../logic/compare.ts";
import { criticalPath, segmentsBySpan } from "../logic/critical-path.ts";
import { count } from "../logic/numbers.ts";
import { dateTime, duration, toMs } from "../logic/time.ts";
import { buildTree, shown, type Tree } from "../logic/tree.ts";
import { question, useAnswer } from "../data/api.ts";
import { Failed } from "../parts/states.tsx";
import { Name, Service } from "../parts/text.tsx";
import { Waterfall } from "../parts/waterfall.tsx";

/** `+1.2 ms`, `−300 µs`; "" when there is no difference worth a word. */
function signed(ns: number): string {
  return ns === 0 ? "±0" : ns > 0 ? `+${duration(ns)}` : duration(ns);
}

/** The comparison. */
export function CompareView({ a, b }: {
  a: string;
  b: string;
}): JSX.Element {
  const first = useAnswer<Trace>(question(["traces", a]));
  const second = useAnswer<Trace>(question(["traces", b]));
  const trees = useMemo(
    () =>
      first.data && second.data &&
      [buildTree(first.data.spans), buildTree(second.data.spans)] as const,
    [first.data, second.data],
  );
  const error = first.error ?? second.error;
  if (!trees) {
    return (
      <>
        <h1>Two traces</h1>
        {error === undefined
          ? <p class="loading" role="status">Loading…</p>
          : <Failed error={error} />}
      </>
    );
  }
  return <Both key={`${a} ${b}`} a={trees[0]} b={trees[1]} ids={[a, b]} />;
}

function Both({ a, b, ids }: {
  a: Tree;
  b: Tree;
  ids: readonly [string, string];
}): JSX.Element {
  const length = Math.max(a.length, b.length, 1e-6);
  const list = useMemo(() => differences(a, b), [a, b]);
  const most = Math.max(1, ...list.map(({ totalA, totalB }) => Math.abs(totalB - totalA)));
  const [pair, setPair] = useState<readonly [number, number]>([-1, -1]);
  const toB = useMemo(() => counterparts(a, b), [a, b]);
  const toA = useMemo(() => counterparts(b, a), [a, b]);
  const selectA = useCallback((index: number) => setPair([index, toB[index] ?? -1]), [toB]);
  const selectB = useCallback((index: number) => setPair([toA[index] ?? -1, index]), [toA]);
  return (
    <>
      <div class="head">
        <h1>Two traces</h1>
        <p class="muted">The lower one took {signed((b.length - a.length) * 1e6)}.</p>
        <a class="button" href={formatAddress(["compare", ids[1], ids[0]])}>Swap</a>
      </div>
      <One
        tree={a}
        other={b}
        to={toB}
        id={ids[0]}
        length={length}
        selected={pair[0]}
        onSelect={selectA}
        label="First trace"
      />
      <One
        tree={b}
        other={a}
        to={toA}
        id={ids[1]}
        length={length}
        selected={pair[1]}
        onSelect={selectB}
        label="Second trace"
      />
      <section aria-labelledby="differences">
        <h2 id="differences">Differences by name</h2>
        <div class="scroll" tabIndex={0} role="region" aria-label="Table of differences">
          <table class="figures">
            <thead>
              <tr>
                <th scope="col">Span</th>
                <th scope="col" class="number">First</th>
                <th scope="col" class="number">Second</th>
                <th scope="col" class="number">Difference</th>
                <th scope="col">
                  <span class="hidden">Difference as a bar</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {list.slice(0, 200).map((row, i) => {
                const by = row.totalB - row.totalA;
                const cell = (number: number, total: number): string =>
                  number === 0
                    ? "–"
                    : `${duration(total)}${number > 1 ? ` in ${count(number)}` : ""}`;
                return (
                  <tr key={i}>
                    <th scope="row">
                      <Service name={row.service} /> <Name text={row.name} />
                    </th>
                    <td class="number">{cell(row.countA, row.totalA)}</td>
                    <td class="number">{cell(row.countB, row.totalB)}</td>
                    <td class={`number ${by > 0 ? "slower" : "faster"}`}>
                      {row.countA === 0
                        ? "only second"
                        : row.countB === 0
                        ? "only first"
                        : signed(by)}
                    </td>
                    <td class="difference">
                      <span
                        class={by > 0 ? "slower" : "faster"}
                        style={{ width: `${Math.abs(by) / most * 100}%` }}
                      >
                      </span>
                    </td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      </section>
    </>
  );
}

const NOTHING: ReadonlyMap<string, readonly Log[]> = new Map();
const NONE: ReadonlySet<number> = new Set();

function One({ tree, other, to, id, length, selected, onSelect, label }: {
  tree: Tree;
  other: Tree;
  to: readonly number[];
  id: string;
  length: number;
  selected: number;
  onSelect: (index: number) => void;
  label: string;
}): JSX.Element {
  const [collapsed, setCollapsed] = useState<ReadonlySet<number>>(NONE);
  const rows = useMemo(() => shown(tree, collapsed), [tree, collapsed]);
  const critical = useMemo(() => segmentsBySpan(criticalPath(tree)), [tree]);
  const zoom = useMemo(() => ({ from: 0, to: length }), [length]);
  const latest = useRef(collapsed);
  latest.current = collapsed;
  const toggle = useCallback((index: number) => {
    const next = new Set(latest.current);
    if (!next.delete(index)) next.add(index);
    setCollapsed(next);
  }, []);
  const note = (index: number): string => {
    const counterpart = other.nodes[to[index]!];
    if (!counterpart) return "only here";
    const by = tree.nodes[index]!.span.durationNs - counterpart.span.durationNs;
    return signed(by);
  };
  const root = tree.nodes[0];
  if (!root) return <p class="muted">No span of this trace has ended yet.</p>;
  return (
    <section class="compared" aria-label={label}>
      <p class="compared-head">
        <b>{label}</b> <Service name={root.span.service} />{" "}
        <a href={formatAddress(["traces", id])}>
          <Name text={root.span.name} />
        </a>{" "}
        <span class="muted">
          {dateTime(toMs(tree.startNs))} · {duration(tree.length * 1e6)} ·{" "}
          {count(tree.nodes.length)} spans
        </span>
      </p>
      <Waterfall
        tree={tree}
        rows={rows}
        zoom={zoom}
        selected={selected}
        collapsed={collapsed}
        critical={critical}
        logs={NOTHING}
        found={NONE}
        note={note}
        label={`Spans of the ${label.toLowerCase()}`}
        onSelect={onSelect}
        onToggle={toggle}
      />
    </section>
  );
}
