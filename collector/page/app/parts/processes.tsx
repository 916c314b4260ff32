/**
 * Processes that record, with the state of their rings.
 *
 * @module
 */
import type { JSX } from "preact";
import type { LiveProcess, LiveRing } from "../../live-types.ts";
import { formatAddress } from "../logic/address.ts";
import { count, percent } from "../logic/numbers.ts";
import { ago, dateTime, duration } from "../logic/time.ts";
import { Name, Service } from "./text.tsx";

function refused(ring: LiveRing): number {
  return Object.values(ring.refused).reduce((sum, value) => sum + value, 0);
}

/** Cards of processes: those alive first, then the latest that died. */
export function Processes({ processes }: { processes: readonly LiveProcess[] }): JSX.Element {
  const now = Date.now();
  const sorted = [...processes].sort((a, b) =>
    Number(b.alive) - Number(a.alive) || b.since - a.since
  );
  return (
    <ul class="processes">
      {sorted.map((process) => {
        const rings = process.files.flatMap(({ rings }) => rings);
        const lost = rings.reduce((sum, ring) => sum + refused(ring) + ring.torn, 0);
        const lag = Math.max(0, ...rings.map(({ lagMs }) => lagMs));
        return (
          <li key={`${process.pid} ${process.since}`} class={process.crashed ? "dead" : "alive"}>
            <div class="process-head">
              <Service name={process.service} />
              <span class={`badge ${process.alive ? "good" : process.crashed ? "bad" : "quiet"}`}>
                {process.alive ? "alive" : process.crashed ? "died" : "ended"}
              </span>
            </div>
            <p class="muted process-facts">
              <Name text={process.runtime} empty="unknown runtime" /> · pid {process.pid} ·{" "}
              <span title={dateTime(process.since)}>
                started {ago(process.since, now)}
              </span>
              {process.openSpans > 0 && ` · ${count(process.openSpans)} open spans`}
              {process.alive && lag >= 1000 && ` · ${duration(lag * 1e6)} behind`}
            </p>
            {process.files.map((file, at) => (
              <div class="rings" key={file.path}>
                {process.files.length > 1 && <p class="muted file">File {at + 1}</p>}
                {file.rings.map((ring) => <Ring key={ring.name} ring={ring} />)}
              </div>
            ))}
            <p class="process-end">
              {lost > 0
                ? <span class="bad">{count(lost)} records lost</span>
                : <span class="muted">nothing lost</span>}
              {process.crashed && process.resourceId !== null && (
                <a href={formatAddress(["crashes", String(process.resourceId)])}>
                  Last seconds<span class="hidden">of process {process.pid}</span>
                </a>
              )}
            </p>
          </li>
        );
      })}
    </ul>
  );
}

function Ring({ ring }: { ring: LiveRing }): JSX.Element {
  const level = ring.fill > 0.9 ? "full" : ring.fill > 0.6 ? "high" : "";
  const reasons = Object.entries(ring.refused).filter(([, value]) => value > 0);
  return (
    <div class="ring">
      <span class="ring-name">{ring.name}</span>
      <span
        class="meter"
        role="meter"
        aria-label={`Ring ${ring.name}`}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(ring.fill * 100)}
        aria-valuetext={`${percent(ring.fill)} full`}
      >
        <span class={level} style={{ width: `${Math.min(100, ring.fill * 100)}%` }}></span>
      </span>
      <span class="ring-figures">
        {percent(ring.fill)} · {count(ring.delivered)} read
        {reasons.map(([reason, value]) => (
          <span key={reason} class="bad">{` · ${count(value)} ${reason}`}</span>
        ))}
        {ring.torn > 0 && <span class="bad">{` · ${count(ring.torn)} torn`}</span>}
      </span>
    </div>
  );
}
