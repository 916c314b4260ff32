/**
 * Log records.
 *
 * @module
 */
import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Log, Paged } from "../../../store/queries/types.ts";
import { type Address, first, formatAddress, timeQuery } from "../logic/address.ts";
import { count } from "../logic/numbers.ts";
import { ask, question, useAnswer } from "../data/api.ts";
import { logConditions, timeConditions } from "../data/filters.ts";
import { useNews } from "../data/live.ts";
import { usePages } from "../data/pages.ts";
import { change, useRange } from "../data/use-address.ts";
import { LogRow } from "../parts/log-row.tsx";
import { LogTimes } from "../parts/log-times.tsx";
import { RangePicker } from "../parts/range.tsx";
import { AttributeConditions, Choice } from "../parts/span-search.tsx";
import { Empty, Of } from "../parts/states.tsx";

/** As many rows of a live tail stay: what came before is a page away. */
const TAIL = 1000;

const TEXT_EXAMPLE = 'timeout, "connection refused", pay*';
const TEXT_HELP = 'Words, "phrases", beginnings with *, AND, OR, NOT';

const LEVELS: readonly (readonly [string, string])[] = [
  ["5", "debug and above"],
  ["9", "info and above"],
  ["13", "warn and above"],
  ["17", "error and above"],
  ["21", "fatal"],
];

/** The records that came since the first page was loaded, newest first. */
function useTail(path: string, on: boolean, begun: number | undefined): readonly Log[] {
  const [tail, setTail] = useState<{ path: string; rows: readonly Log[] }>({ path, rows: [] });
  const news = useNews();
  const asking = useRef(false);
  const last = useRef(-1);
  useEffect(() => {
    setTail({ path, rows: [] });
    last.current = begun ?? -1;
  }, [path, begun]);
  const lastLog = news?.lastLog ?? -1;
  useEffect(() => {
    if (!on || begun === undefined || asking.current || lastLog <= last.current) return;
    asking.current = true;
    const from = last.current;
    ask<Paged<Log>>(`${path}&afterId=${from}&limit=500`).then(({ rows }) => {
      asking.current = false;
      // Asked for something else meanwhile.
      if (last.current !== from) return;
      // Without rows that fit, what came is passed all the same.
      last.current = rows.length > 0 ? rows.at(-1)!.id : lastLog;
      if (rows.length > 0) {
        setTail((before) => ({
          path,
          rows: [...rows.toReversed(), ...before.rows].slice(0, TAIL),
        }));
      }
    }, () => {
      asking.current = false;
    });
  }, [on, lastLog, path, begun]);
  return tail.path === path ? tail.rows : [];
}

/** Search, histogram and list. */
export function LogsView({ address }: { address: Address }): JSX.Element {
  const paused = first(address, "paused") !== "";
  const [asked, setAsked] = useState(0);
  const range = useRange(address, asked);
  const moving = range.last !== "";
  const conditions = logConditions(address);
  // What moves has no end: records of the future of this moment fit too.
  const time = moving ? { from: Math.floor(range.fromMs) } : timeConditions(range);
  const path = question(["logs"], { ...conditions, ...time });
  const pages = usePages<Log>(`${path}&limit=200`, asked);
  const tail = useTail(
    path,
    moving && !paused,
    pages.data && (pages.data[0]?.id ?? -1),
  );
  const services = useAnswer<readonly string[]>(question(["services"]));
  const keys = useAnswer<readonly string[]>(question(["attribute-keys"]));
  const rows = useMemo(() => [...tail, ...pages.data ?? []], [tail, pages.data]);
  const traceId = first(address, "trace");
  const open = first(address, "open");
  const list = useRef<HTMLOListElement>(null);
  return (
    <>
      <div class="head">
        <h1>Logs</h1>
        <RangePicker range={range} />
        {moving && (
          <button
            type="button"
            aria-pressed={paused}
            onClick={() => change({ paused: paused ? "" : "true" })}
          >
            {paused ? "▶ Follow" : "❚❚ Pause"}
          </button>
        )}
        <button type="button" onClick={() => setAsked(asked + 1)}>Refresh</button>
        {moving && <span class="hint" role="status">{paused ? "paused" : "following"}</span>}
      </div>
      <form class="search" role="search" onSubmit={(event) => event.preventDefault()}>
        <label class="field wide">
          <span>Text</span>
          <input
            type="search"
            key={first(address, "text")}
            defaultValue={first(address, "text")}
            placeholder={TEXT_EXAMPLE}
            title={TEXT_HELP}
            spellcheck={false}
            autocomplete="off"
            onChange={({ currentTarget }) => change({ text: currentTarget.value.trim() }, true)}
          />
        </label>
        <Choice label="Severity" name="severity" address={address} options={LEVELS} />
        <Choice label="Service" name="service" address={address} options={services.data ?? []} />
        <AttributeConditions address={address} keys={keys.data} />
        {([["trace", "trace"], ["span", "span"], ["resource", "process"]] as const).map((
          [name, word],
        ) =>
          first(address, name) !== "" && (
            <span class="chip" key={name}>
              {word} {first(address, name).slice(0, 12)}
              <button
                type="button"
                aria-label={`Drop the condition on the ${word}`}
                onClick={() => change({ [name]: "" }, true)}
              >
                ×
              </button>
            </span>
          )
        )}
        {traceId !== "" && (
          <a
            class="back"
            href={formatAddress(["traces", traceId], { span: first(address, "span") })}
          >
            ← Back to the trace
          </a>
        )}
      </form>
      <LogTimes
        conditions={conditions}
        range={range}
        version={`${asked} ${moving && !paused ? Math.floor(tail.length / 20) : ""}`}
      />
      <Of answer={pages}>
        {() =>
          rows.length === 0
            ? (
              <Empty title="No log record fits.">
                <p>
                  <a href={formatAddress(["logs"], timeQuery(address))}>Drop all conditions</a>, or
                  {" "}
                  <button
                    type="button"
                    onClick={() => change({ from: undefined, to: undefined, last: "7d" }, true)}
                  >
                    search the last 7 days
                  </button>
                </p>
                {moving && !paused && <p>New records that fit appear by themselves.</p>}
              </Empty>
            )
            : (
              <ol class="logs" aria-label="Log records, newest first" ref={list}>
                {rows.map((log) => (
                  <LogRow
                    key={log.id}
                    log={log}
                    open={String(log.id) === open}
                  />
                ))}
              </ol>
            )}
      </Of>
      {pages.next !== null && (
        <p class="more">
          <span class="muted">{count(rows.length)} records</span>{" "}
          <button type="button" disabled={pages.loading} onClick={pages.more}>
            {pages.loading ? "Loading…" : "Load more"}
          </button>
        </p>
      )}
    </>
  );
}
