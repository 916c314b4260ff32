/**
 * Spans that have not ended.
 *
 * @module
 */
import type { JSX } from "preact";
import type { OpenSpan } from "../../live-types.ts";
import { question, useAnswer } from "../data/api.ts";
import { useLive } from "../data/live.ts";
import { formatAddress } from "../logic/address.ts";
import { several } from "../logic/numbers.ts";
import { duration, toMs } from "../logic/time.ts";
import { Name, Service } from "./text.tsx";

const LISTED = 5;

/** The outermost open spans, the oldest first; nothing while there are none. */
export function OpenNow(): JSX.Element | null {
  const live = useLive();
  const any = live?.processes.some(({ openSpans }) => openSpans > 0) ?? false;
  const { data } = useAnswer<readonly OpenSpan[]>(
    any ? question(["open-spans"], { limit: 200 }) : null,
    live,
  );
  if (!data || data.length === 0) return null;
  const ids = new Set(data.map(({ traceId, spanId }) => `${traceId} ${spanId}`));
  const outer = data.filter(({ traceId, parentSpanId }) => !ids.has(`${traceId} ${parentSpanId}`))
    .sort((a, b) => BigInt(a.startNs) < BigInt(b.startNs) ? -1 : 1);
  const now = Date.now();
  return (
    <section class="open-now" aria-labelledby="open-now">
      <h2 id="open-now">
        Open now <span class="muted">{several(data.length, "span")}</span>
      </h2>
      <ul>
        {outer.slice(0, LISTED).map((span) => (
          <li key={`${span.traceId} ${span.spanId}`}>
            <a href={formatAddress(["traces", span.traceId], { span: span.spanId })}>
              <Service name={span.service} /> <Name text={span.name} />
            </a>{" "}
            <span class="running">{duration(Math.max(0, now - toMs(span.startNs)) * 1e6)}</span>
          </li>
        ))}
      </ul>
      {outer.length > LISTED && <p class="hint">and {outer.length - LISTED} more</p>}
    </section>
  );
}
