/**
 * Search for traces.
 *
 * @module
 */
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { TraceSummary } from "../../../store/queries/types.ts";
import { type Address, first, formatAddress, timeQuery } from "../logic/address.ts";
import { count } from "../logic/numbers.ts";
import { duration, timeNear, toMs } from "../logic/time.ts";
import { question } from "../data/api.ts";
import { spanConditions, timeConditions } from "../data/filters.ts";
import { useNews, useVersion } from "../data/live.ts";
import { type Pages, usePages } from "../data/pages.ts";
import { change, go, useRange } from "../data/use-address.ts";
import { OpenNow } from "../parts/open-now.tsx";
import { RangePicker } from "../parts/range.tsx";
import { Scatter } from "../parts/scatter.tsx";
import { SpanSearch } from "../parts/span-search.tsx";
import { Empty, Of } from "../parts/states.tsx";
import { Name, Service } from "../parts/text.tsx";

/** The form, the scatter and the list. */
export function TracesView({ address }: { address: Address }): JSX.Element {
  const [asked, setAsked] = useState(0);
  const [empty, setEmpty] = useState(true);
  // A list that somebody reads does not move by itself; one without rows waits for the first.
  const waiting = useVersion(empty && address.query.from === undefined, 1500);
  const version = `${asked} ${waiting}`;
  const range = useRange(address, version);
  const conditions = { ...spanConditions(address), ...timeConditions(range) };
  const traces = usePages<TraceSummary>(
    question(["traces"], { ...conditions, limit: 50 }),
    version,
  );
  useEffect(() => setEmpty(!traces.data || traces.data.length === 0), [traces.data]);
  const news = useNews();
  const seen = useRef({ version: "", lastSpan: -1 });
  if (news && (seen.current.version !== version || seen.current.lastSpan < 0)) {
    seen.current = { version, lastSpan: news.lastSpan };
  }
  const arrived = news && range.last !== "" ? news.lastSpan - seen.current.lastSpan : 0;
  return (
    <>
      <div class="head">
        <h1>Traces</h1>
        <RangePicker range={range} />
        <button type="button" onClick={() => setAsked(asked + 1)}>
          {arrived > 0 ? `Refresh: ${count(arrived)} new spans` : "Refresh"}
        </button>
      </div>
      <SpanSearch address={address} />
      <OpenNow />
      <Scatter
        path={question(["scatter"], { ...conditions, limit: 5000 })}
        version={version}
        range={range}
      />
      <Of answer={traces}>
        {(rows) =>
          rows.length === 0
            ? <NoTraces address={address} />
            : <List rows={rows} pages={traces} address={address} />}
      </Of>
    </>
  );
}

function NoTraces({ address }: { address: Address }): JSX.Element {
  const filtered = Object.keys(address.query).some((name) =>
    !["from", "to", "last"].includes(name)
  );
  return (
    <Empty title="No trace fits.">
      <p>
        {filtered && (
          <>
            <a href={formatAddress(["traces"], timeQuery(address))}>Drop all conditions</a>, or{" "}
          </>
        )}
        <button
          type="button"
          onClick={() => change({ from: undefined, to: undefined, last: "7d" }, true)}
        >
          search the last 7 days
        </button>
      </p>
    </Empty>
  );
}

function List({ rows, pages, address }: {
  rows: readonly TraceSummary[];
  pages: Pages<TraceSummary>;
  address: Address;
}): JSX.Element {
  const [at, setAt] = useState(0);
  const list = useRef<HTMLOListElement>(null);
  const longest = Math.max(...rows.map(({ durationNs }) => durationNs), 1);
  const now = Date.now();
  const marked = first(address, "compare");
  const move = (to: number): void => {
    const next = Math.min(Math.max(to, 0), rows.length - 1);
    setAt(next);
    list.current?.querySelectorAll<HTMLElement>("a.trace")[next]?.focus();
  };
  // Before the next key: an effect would come after the next picture.
  useLayoutEffect(() => {
    const listen = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const target = event.target as HTMLElement;
      if (/^(INPUT|SELECT|TEXTAREA|SUMMARY)$/.test(target.tagName)) return;
      // Arrows move in the list only: elsewhere they scroll.
      const inside = list.current?.contains(target) ?? false;
      const started = document.activeElement?.classList.contains("trace") ?? false;
      if (event.key === "j" || inside && event.key === "ArrowDown") move(started ? at + 1 : at);
      else if (event.key === "k" || inside && event.key === "ArrowUp") move(at - 1);
      else if (inside && event.key === "Home") move(0);
      else if (inside && event.key === "End") move(rows.length - 1);
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, [rows, at]);
  return (
    <>
      <p class="hint">
        {pages.next === null
          ? rows.length === 1 ? "1 trace" : `${count(rows.length)} traces`
          : `The newest ${count(rows.length)} traces`}
        <span class="keys">
          <kbd>j</kbd> <kbd>k</kbd> move, <kbd>Enter</kbd> opens
        </span>
        {marked !== "" && (
          <>
            <span>Choose the trace to compare with.</span>
            <button type="button" class="small" onClick={() => change({ compare: undefined })}>
              cancel
            </button>
          </>
        )}
      </p>
      <ol class="traces" ref={list} aria-label="Traces">
        {rows.map((trace, i) => (
          <li key={trace.traceId}>
            <a
              class={`trace ${trace.errors > 0 ? "bad" : ""}`}
              href={marked === ""
                ? formatAddress(["traces", trace.traceId])
                : formatAddress(["compare", marked, trace.traceId])}
              onFocus={() => setAt(i)}
            >
              <span class="trace-time">{timeNear(toMs(trace.startNs), now)}</span>
              <span class="trace-name">
                <Service name={trace.root.service} /> <Name text={trace.root.name} />
              </span>
              <span class="trace-facts">
                {trace.interrupted > 0 && <span class="badge cut">cut off</span>}
                {trace.errors > 0 && (
                  <span class="badge bad">
                    {trace.errors === 1 ? "1 error" : `${count(trace.errors)} errors`}
                  </span>
                )}
                <span class="muted">
                  {trace.spans === 1 ? "1 span" : `${count(trace.spans)} spans`}
                  {trace.services.length > 1 && ` · ${trace.services.length} services`}
                </span>
              </span>
              <span class="trace-duration">
                <span
                  class="trace-bar"
                  style={{ width: `${Math.max(1, trace.durationNs / longest * 100)}%` }}
                >
                </span>
                <span>{duration(trace.durationNs)}</span>
              </span>
            </a>
          </li>
        ))}
      </ol>
      {pages.next !== null && (
        <p class="more">
          <button type="button" disabled={pages.loading} onClick={pages.more}>
            {pages.loading ? "Loading…" : "Load more"}
          </button>
        </p>
      )}
    </>
  );
}

/** Goes to the list to choose a trace that the given one is compared with. */
export function chooseOther(traceId: string, name: string): void {
  go(["traces"], { compare: traceId, exact: name });
}
