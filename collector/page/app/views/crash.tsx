/**
 * The last seconds of a process, on one axis of time that ends with its death.
 *
 * @module
 */
import type { JSX } from "preact";
import { useMemo, useRef, useState } from "preact/hooks";
import type { CrashReport, Log } from "../../../store/queries/types.ts";
import { type Address, first, formatAddress } from "../logic/address.ts";
import { firstSign, lastChain, lost } from "../logic/crash-words.ts";
import { count } from "../logic/numbers.ts";
import { dateTime, duration, msBetween, toMs } from "../logic/time.ts";
import { buildTree } from "../logic/tree.ts";
import { attribute } from "../logic/values.ts";
import { question, useAnswer } from "../data/api.ts";
import { change } from "../data/use-address.ts";
import { Attributes } from "../parts/attributes.tsx";
import { EndedSpans, LogMarks, LossMarks, OpenSpans, Scale } from "../parts/crash-tracks.tsx";
import { CrashMetrics } from "../parts/crash-metrics.tsx";
import { LogLines, logText } from "../parts/log-lines.tsx";
import { Empty, Of } from "../parts/states.tsx";
import { Long, Name, Service } from "../parts/text.tsx";

const LENGTHS = [0.01, 0.1, 1, 5, 10, 30, 60, 300];

/** The view of a crash. */
export function CrashView({ address, resourceId }: {
  address: Address;
  resourceId: string;
}): JSX.Element {
  const asked = Math.min(3600, Math.max(0, Number(first(address, "seconds")) || 0));
  // The API knows whole seconds; what is before the axis is left out here.
  const seconds = Math.max(1, Math.ceil(asked || 30));
  const report = useAnswer<CrashReport>(question(["crashes", resourceId], { seconds }));
  return (
    <>
      {!report.data && <h1>Crash</h1>}
      {report.missing
        ? (
          <Empty title="There is no such crash.">
            <p>
              It may have been removed by age or size. <a href="#/crashes">All crashes</a>
            </p>
          </Empty>
        )
        : (
          <Of answer={report}>
            {(data) => <Report report={data} asked={asked} />}
          </Of>
        )}
    </>
  );
}

function Report({ report, asked }: {
  report: CrashReport;
  /** Seconds; 0 when nobody asked for a length: the axis begins with the first that is there. */
  asked: number;
}): JSX.Element {
  const { resource, open, losses } = report;
  const [at, setAt] = useState<number | null>(null);
  const tracks = useRef<HTMLDivElement>(null);
  // Milliseconds before the death; the axis ends a little after it.
  const from = useMemo(
    () =>
      asked === 0
        ? firstSign(report)
        : String(BigInt(report.lastNs) - BigInt(Math.round(asked * 1e9))),
    [report, asked],
  );
  const length = Math.max(msBetween(from, report.lastNs), 0.01);
  const before = (timeNs: string): number => msBetween(timeNs, report.lastNs);
  const place = (timeNs: string): number => (1 - before(timeNs) / length) * 100;
  const ended = useMemo(
    () =>
      report.ended.filter(({ startNs, durationNs }) =>
        BigInt(startNs) + BigInt(Math.round(durationNs)) >= BigInt(from)
      ),
    [report, from],
  );
  const logs = useMemo(
    () => report.logs.filter(({ timeNs }) => BigInt(timeNs) >= BigInt(from)),
    [report, from],
  );
  const tree = useMemo(() => buildTree(open), [open]);
  const gone = lost(report);
  const facts = [
    ["pid", attribute(resource.attributes, "process.pid")],
    [
      "runtime",
      [
        attribute(resource.attributes, "process.runtime.name"),
        attribute(resource.attributes, "process.runtime.version"),
      ].filter((part) => part !== "").join(" "),
    ],
    ["host", attribute(resource.attributes, "host.name")],
    ["version", attribute(resource.attributes, "service.version")],
  ].filter(([, value]) => value !== "");
  return (
    <>
      <div class="head">
        <h1>
          <Service name={resource.service} /> died
        </h1>
        <p class="muted facts-line">
          last sign {dateTime(toMs(report.lastNs))}
          {facts.map(([name, value]) => (
            <span key={name}>
              {` · ${name} `}
              <Name text={value!} />
            </span>
          ))}
        </p>
        <label class="field inline">
          <span class="hidden">Seconds before the death</span>
          <select
            value={asked === 0 ? "" : String(asked)}
            onChange={({ currentTarget }) => change({ seconds: currentTarget.value })}
          >
            <option value="">what is there of 30 s</option>
            {[...new Set([...LENGTHS, ...(asked === 0 ? [] : [asked])])].sort((a, b) => a - b).map((
              length,
            ) => <option key={length} value={String(length)}>last {duration(length * 1e9)}
            </option>)}
          </select>
        </label>
      </div>
      <LastWords report={report} />
      <div
        class="tracks"
        ref={tracks}
        onPointerMove={(event) => {
          const scale = tracks.current!.querySelector(".scale-line")!.getBoundingClientRect();
          const share = (event.clientX - scale.left) / scale.width;
          setAt(share >= 0 && share <= 1 ? share : null);
        }}
        onPointerLeave={() => setAt(null)}
      >
        <Scale length={length} at={at} />
        <section class="track" aria-labelledby="open-spans">
          <h2 id="open-spans">
            Open at death <span class="muted">{count(open.length)}</span>
          </h2>
          {open.length === 0
            ? <p class="muted">No span was open.</p>
            : <OpenSpans tree={tree} report={report} place={place} />}
        </section>
        <section class="track" aria-labelledby="ended-spans">
          <h2 id="ended-spans">
            Ended before <span class="muted">{count(ended.length)}</span>
          </h2>
          {ended.length === 0
            ? <p class="muted">No span ended in this time.</p>
            : <EndedSpans spans={ended} place={place} />}
        </section>
        <section class="track" aria-labelledby="log-marks">
          <h2 id="log-marks">
            Logs <span class="muted">{count(logs.length)}</span>
          </h2>
          {logs.length === 0
            ? <p class="muted">Nothing was logged.</p>
            : <LogMarks logs={logs} place={place} />}
        </section>
        <CrashMetrics metrics={report.metrics} place={place} at={at} length={length} />
        <section class="track" aria-labelledby="lost">
          <h2 id="lost">
            Lost <span class={gone > 0 ? "bad" : "muted"}>{count(gone)}</span>
          </h2>
          {losses.length === 0
            ? <p class="muted">Nothing: every record up to the last instruction was read.</p>
            : (
              <LossMarks
                losses={losses}
                place={(ms) => (1 - (toMs(report.lastNs) - ms) / length) * 100}
              />
            )}
        </section>
      </div>
      <div class="columns">
        <section aria-labelledby="last-logs">
          <h2 id="last-logs">Last log records</h2>
          {logs.length === 0
            ? <p class="muted">None in this time.</p>
            : <LastLogs logs={logs} before={before} />}
          <p>
            <a href={formatAddress(["logs"], { resource: resource.id, last: "7d" })}>
              All logs of this process
            </a>
          </p>
        </section>
        <section aria-labelledby="resource">
          <h2 id="resource">Process</h2>
          <Attributes attributes={resource.attributes} label="Attributes of the resource" />
        </section>
      </div>
    </>
  );
}

/** What it was doing, in words: the innermost open spans, the last event and the last record. */
function LastWords({ report }: { report: CrashReport }): JSX.Element {
  const chain = lastChain(report.open);
  const innermost = chain.at(-1);
  const lastEvent = report.open.flatMap(({ events }) => events)
    .reduce<{ timeNs: string; name: string } | undefined>(
      (last, event) => !last || BigInt(event.timeNs) > BigInt(last.timeNs) ? event : last,
      undefined,
    );
  const lastLog: Log | undefined = report.logs.at(-1);
  const before = (timeNs: string): string => {
    const ms = msBetween(timeNs, report.lastNs);
    return ms <= 0 ? "with its last sign" : `${duration(ms * 1e6)} before its last sign`;
  };
  const traces = new Set(report.open.map(({ traceId }) => traceId)).size;
  return (
    <div class="last-words">
      {innermost
        ? (
          <p>
            It was cut off in {chain.map((span, i) => (
              <span key={span.spanId}>
                {i > 0 && <span class="muted crumb">›</span>}
                <a href={formatAddress(["traces", span.traceId], { span: span.spanId })}>
                  <Name text={span.name} />
                </a>
              </span>
            ))}, which {innermost.durationNs > 0
              ? `had been running for ${duration(innermost.durationNs)}`
              : "had just begun"}
            {report.open.length > chain.length &&
              `; ${count(report.open.length)} spans of ${count(traces)} ${
                traces === 1 ? "trace" : "traces"
              } were open`}.
          </p>
        )
        : <p>No span was open when it died.</p>}
      {lastLog && (
        <p>
          Its last log record, {before(lastLog.timeNs)}:{" "}
          <q>
            <Long text={logText(lastLog).slice(0, 4000)} label="last log record" />
          </q>
        </p>
      )}
      {lastEvent && (
        <p>
          Its last event, {before(lastEvent.timeNs)}:{" "}
          <b>
            <Name text={lastEvent.name} />
          </b>
        </p>
      )}
    </div>
  );
}

/** The last records, the latest first, with the time before the death. */
function LastLogs({ logs, before }: {
  logs: readonly Log[];
  before: (timeNs: string) => number;
}): JSX.Element {
  const base = logs.at(-1)!.timeNs;
  return (
    <ol class="last-logs">
      {logs.toReversed().map((log) => (
        <li key={log.id}>
          <span class="log-at">−{duration(Math.max(0, before(log.timeNs)) * 1e6)}</span>
          <LogLines logs={[log]} startNs={base} label="Log record" />
          {log.traceId !== "" && (
            <a href={formatAddress(["traces", log.traceId], { span: log.spanId })}>
              trace<span class="hidden">of this record</span>
            </a>
          )}
        </li>
      ))}
    </ol>
  );
}
