/**
 * Measurements that stand for others, and lead to their traces.
 *
 * @module
 */
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import type uPlot from "uplot";
import type { Exemplar, MetricSeries, MetricStream } from "../../../store/queries/types.ts";
import { formatAddress } from "../logic/address.ts";
import { count, measured } from "../logic/numbers.ts";
import { dateTime, toMs } from "../logic/time.ts";
import { attributesText } from "../logic/values.ts";
import { colour } from "../data/theme.ts";
import { go } from "../data/use-address.ts";
import { Name } from "./text.tsx";

const LISTED = 30;

function exemplarsOf(list: readonly MetricSeries[]): Exemplar[] {
  const seen = new Set<string>();
  return list.flatMap(({ points }) => points.flatMap(({ exemplars }) => exemplars ?? []))
    .filter(({ timeNs, value, traceId, spanId }) => {
      const id = `${timeNs} ${value} ${traceId} ${spanId}`;
      return !seen.has(id) && seen.add(id);
    });
}

/** Dots over a chart, and what a click on one does. */
export function exemplarDots(list: readonly MetricSeries[]): {
  draw: (chart: uPlot) => void;
  listen: (chart: uPlot) => void;
} {
  const all = exemplarsOf(list).filter(({ traceId }) => traceId !== "");
  return {
    draw(chart) {
      const { ctx } = chart;
      ctx.save();
      ctx.beginPath();
      ctx.rect(chart.bbox.left, chart.bbox.top, chart.bbox.width, chart.bbox.height);
      ctx.clip();
      ctx.fillStyle = colour("exemplar");
      ctx.strokeStyle = colour("panel");
      ctx.lineWidth = 1.5 * devicePixelRatio;
      for (const { timeNs, value } of all) {
        const x = chart.valToPos(toMs(timeNs) / 1000, "x", true);
        const y = chart.valToPos(value, "y", true);
        if (!Number.isFinite(y)) continue;
        const size = 4.5 * devicePixelRatio;
        ctx.beginPath();
        ctx.moveTo(x, y - size);
        ctx.lineTo(x + size, y);
        ctx.lineTo(x, y + size);
        ctx.lineTo(x - size, y);
        ctx.closePath();
        ctx.fill();
        ctx.stroke();
      }
      ctx.restore();
    },
    listen(chart) {
      let down = [0, 0];
      chart.over.addEventListener("mousedown", ({ clientX, clientY }) => down = [clientX, clientY]);
      chart.over.addEventListener("click", ({ clientX, clientY }) => {
        if (Math.hypot(clientX - down[0]!, clientY - down[1]!) > 4) return;
        const box = chart.over.getBoundingClientRect();
        let nearest: Exemplar | undefined;
        let least = 12;
        for (const exemplar of all) {
          const distance = Math.hypot(
            chart.valToPos(toMs(exemplar.timeNs) / 1000, "x") - (clientX - box.left),
            chart.valToPos(exemplar.value, "y") - (clientY - box.top),
          );
          if (distance < least) [least, nearest] = [distance, exemplar];
        }
        if (nearest) go(["traces", nearest.traceId], { span: nearest.spanId });
      });
    },
  };
}

/** The exemplars as a list: the greatest first. */
export function Exemplars({ stream, list }: {
  stream: MetricStream;
  list: readonly MetricSeries[];
}): JSX.Element | null {
  const all = useMemo(() => exemplarsOf(list).sort((a, b) => b.value - a.value), [list]);
  if (all.length === 0) return null;
  return (
    <details class="exemplars">
      <summary>
        Exemplars <span class="muted">{count(all.length)}, the greatest first</span>
      </summary>
      <ul>
        {all.slice(0, LISTED).map((exemplar, i) => (
          <li key={i}>
            <b>{measured(exemplar.value, stream.unit)}</b>
            <span class="muted">{dateTime(toMs(exemplar.timeNs))}</span>
            <Name text={attributesText(exemplar.attributes)} empty="" />
            {exemplar.traceId !== "" && (
              <a href={formatAddress(["traces", exemplar.traceId], { span: exemplar.spanId })}>
                trace <code>{exemplar.traceId.slice(0, 8)}</code>
              </a>
            )}
          </li>
        ))}
      </ul>
    </details>
  );
}
