/**
 * Spans that are still open, in a trace.
 *
 * @module
 */
import { useEffect, useMemo, useState } from "preact/hooks";
import type { OpenSpan, TraceNow } from "../../live-types.ts";
import { toMs } from "../logic/time.ts";
import type { TreeSpan } from "../logic/tree.ts";
import { question, useAnswer } from "./api.ts";
import { useLive } from "./live.ts";

/** The spans of a trace with those that are open now, whose durations grow. */
export function useGrowing(
  traceId: string,
  trace: TraceNow | undefined,
): { spans: readonly TreeSpan[]; open: number } {
  const live = useLive();
  const any = live?.processes.some(({ openSpans }) => openSpans > 0);
  // `live` is new each second: so is the question, while there is anything to ask for.
  const { data } = useAnswer<readonly OpenSpan[]>(
    any ? question(["open-spans"], { traceId, limit: 500 }) : null,
    live,
  );
  // Until newer ones come, those that came with the trace.
  const latest = any === false ? undefined : data ?? trace?.open;
  const stored = trace?.spans;
  const known = useMemo(() => new Set(stored?.map(({ spanId }) => spanId)), [stored]);
  const open = (latest ?? []).filter((span) => !known.has(span.spanId));
  const [now, setNow] = useState(Date.now());
  const growing = open.length > 0;
  useEffect(() => {
    if (!growing) return;
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, [growing]);
  const spans = useMemo<readonly TreeSpan[]>(() => [
    ...stored ?? [],
    ...open.map((span) => ({
      ...span,
      open: true,
      durationNs: Math.max(0, now - toMs(span.startNs)) * 1e6,
    })),
  ], [stored, growing ? latest : null, growing ? now : 0]);
  return { spans, open: open.length };
}
