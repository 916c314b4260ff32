/**
 * What a process did before it died, as tracks on one axis.
 *
 * @module
 */
import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import type { CrashReport, Log, Loss, SpanSummary } from "../../../store/queries/types.ts";
import { formatAddress } from "../logic/address.ts";
import { lanes } from "../logic/lanes.ts";
import { count } from "../logic/numbers.ts";
import { severity } from "../logic/severity.ts";
import { duration, ticks } from "../logic/time.ts";
import type { Tree } from "../logic/tree.ts";
import { logText } from "./log-lines.tsx";
import { Name, serviceColour } from "./text.tsx";

/** Gives a time's place on the axis, 0 to 100. */
type Placing = (timeNs: string) => number;

/** The axis: time before the death. */
export function Scale({ length, at }: { length: number; at: number | null }): JSX.Element {
  return (
    <div class="scale" aria-hidden="true">
      <div class="scale-line">
        {ticks(length, 6).slice(1).map((tick) => (
          <span key={tick} class="scale-tick" style={{ left: `${(1 - tick / length) * 100}%` }}>
            −{duration(tick * 1e6)}
          </span>
        ))}
        <span class="scale-death">death</span>
        {at !== null && (
          <span class="scale-at" style={{ left: `${at * 100}%` }}>
            <b class={at > 0.85 ? "left" : ""}>−{duration((1 - at) * length * 1e6)}</b>
          </span>
        )}
      </div>
    </div>
  );
}

/** Rows of a tree that is longer are shown on request. */
const OPEN_ROWS = 40;

/** The spans that were open, as a tree: each ends torn at the death. */
export function OpenSpans({ tree, report, place }: {
  tree: Tree;
  report: CrashReport;
  place: Placing;
}): JSX.Element {
  const [all, setAll] = useState(false);
  const nodes = all ? tree.nodes : tree.nodes.slice(0, OPEN_ROWS);
  return (
    <>
      <ul class="crash-rows">
        {nodes.map(({ span, depth, index }) => {
          const left = place(span.startNs);
          const cut = left < 0;
          return (
            <li key={index}>
              <a
                class="crash-row"
                href={formatAddress(["traces", span.traceId], { span: span.spanId })}
              >
                <span class="crash-name" style={{ paddingLeft: `${Math.min(depth, 12) * 12}px` }}>
                  <Name text={span.name} />
                </span>
                <span class="crash-bars">
                  <span
                    class={`bar cut ${serviceColour(report.resource.service)} ${
                      cut ? "earlier" : ""
                    }`}
                    style={{ left: `min(${Math.max(0, left)}%, 100% - 6px)`, right: "0" }}
                  >
                  </span>
                  {span.events.slice(-60).map((event, i) =>
                    place(event.timeNs) >= 0 && (
                      <span
                        key={i}
                        class="event"
                        style={{ left: `${place(event.timeNs)}%` }}
                        title={event.name.slice(0, 200)}
                      >
                      </span>
                    )
                  )}
                  <span
                    class={`took ${left > 30 ? "before" : "inside"}`}
                    style={left > 30
                      ? { right: `${100 - left}%` }
                      : { left: `${Math.max(0, left)}%` }}
                  >
                    {cut ? "◂ " : ""}open for {duration(span.durationNs)}
                  </span>
                </span>
              </a>
            </li>
          );
        })}
      </ul>
      {tree.nodes.length > OPEN_ROWS && (
        <p>
          <button type="button" class="small" onClick={() => setAll(!all)}>
            {all ? "Show less" : `Show all ${count(tree.nodes.length)}`}
          </button>
        </p>
      )}
    </>
  );
}

const LANES = 14;

/** Spans that ended, packed into lanes. */
export function EndedSpans({ spans, place }: {
  spans: readonly SpanSummary[];
  place: Placing;
}): JSX.Element {
  const placed = useMemo(() => {
    const stretches = spans.map((span) => ({
      start: Math.max(0, place(span.startNs)),
      end: Math.min(100, place(String(BigInt(span.startNs) + BigInt(Math.round(span.durationNs))))),
    }));
    return { stretches, lane: lanes(stretches, LANES, 0.4) };
  }, [spans]);
  const used = Math.max(0, ...placed.lane) + 1;
  const over = placed.lane.filter((lane) => lane < 0).length;
  return (
    <>
      <div class="lanes" style={{ height: `${used * 9 + 2}px` }}>
        {spans.map((span, i) =>
          placed.lane[i]! >= 0 && (
            <a
              key={span.id}
              class={`lane-span ${serviceColour(span.name)} ${
                span.status === "error" ? "bad" : ""
              }`}
              href={formatAddress(["traces", span.traceId], { span: span.spanId })}
              title={`${span.name.slice(0, 200)}: ${duration(span.durationNs)}`}
              aria-label={`${span.name.slice(0, 160)}, ${duration(span.durationNs)}${
                span.status === "error" ? ", error" : ""
              }`}
              style={{
                left: `min(${placed.stretches[i]!.start}%, 100% - 4px)`,
                width: `${Math.max(0, placed.stretches[i]!.end - placed.stretches[i]!.start)}%`,
                top: `${placed.lane[i]! * 9}px`,
              }}
            >
            </a>
          )
        )}
      </div>
      {over > 0 && <p class="hint">{count(over)} more at the same time are not drawn.</p>}
    </>
  );
}

/** Log records as marks by severity. */
export function LogMarks({ logs, place }: { logs: readonly Log[]; place: Placing }): JSX.Element {
  return (
    <div
      class="marks"
      role="img"
      aria-label={`${count(logs.length)} log records; they are listed below`}
    >
      {logs.map((log) => (
        <span
          key={log.id}
          class={`log-mark ${severity(log.severity)}`}
          style={{ left: `${Math.max(0, place(log.timeNs))}%` }}
          title={logText(log).slice(0, 300)}
        >
        </span>
      ))}
    </div>
  );
}

/** Records that were lost: when, which, why. */
export function LossMarks({ losses, place }: {
  losses: readonly Loss[];
  place: (ms: number) => number;
}): JSX.Element {
  return (
    <>
      <div class="marks" role="img" aria-label="When records were lost; they are listed below">
        {losses.map((loss, i) => (
          <span
            key={i}
            class="loss-mark"
            style={{ left: `${Math.min(100, Math.max(0, place(loss.timeMs)))}%` }}
          >
          </span>
        ))}
      </div>
      <ul class="losses">
        {losses.map((loss, i) => (
          <li key={i}>
            <b class="bad">{count(loss.count)}</b> of ring <Name text={loss.ring} />:{" "}
            <Name text={loss.reason} />
          </li>
        ))}
      </ul>
    </>
  );
}
