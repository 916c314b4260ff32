/**
 * uPlot in a component.
 *
 * @module
 */
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { colour, useTheme } from "../data/theme.ts";

export { uPlot };

/** Axes in the colours of the page. */
export function axis(more: Partial<uPlot.Axis>): uPlot.Axis {
  return {
    stroke: colour("muted"),
    grid: { stroke: colour("grid"), width: 1 },
    ticks: { stroke: colour("grid"), width: 1, size: 4 },
    font: "11px system-ui, sans-serif",
    ...more,
  };
}

/** Room for the labels of an axis of values. */
export function labelWidth(_chart: uPlot, values: readonly string[] | null): number {
  return Math.max(48, 16 + 6.6 * Math.max(0, ...(values ?? []).map((value) => value.length)));
}

/** The axis of time: local, with the date where the day changes. */
export function timeAxis(): uPlot.Axis {
  return axis({
    space: 70,
    values: [
      [86_400, "{YYYY}-{MM}-{DD}", null, null, null, null, null, null, 1],
      [3600, "{HH}:{mm}", "\n{YYYY}-{MM}-{DD}", null, null, null, null, null, 1],
      [60, "{HH}:{mm}", "\n{YYYY}-{MM}-{DD}", null, null, null, null, null, 1],
      [1, "{HH}:{mm}:{ss}", "\n{YYYY}-{MM}-{DD}", null, null, null, null, null, 1],
      [0.001, "{HH}:{mm}:{ss}.{fff}", "\n{YYYY}-{MM}-{DD}", null, null, null, null, null, 1],
    ],
  });
}

/**
 * A chart that fills the width it has. It is made anew when `options` changes (or the colours), and
 * gets new data without.
 *
 * @param label What it shows, for those who can't see it.
 */
export function Chart({ options, data, height, label }: {
  options: () => Omit<uPlot.Options, "width" | "height">;
  data: uPlot.AlignedData;
  height: number;
  label: string;
}): JSX.Element {
  const holder = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const { shown } = useTheme();
  useEffect(() => {
    const element = holder.current!;
    const made = new uPlot(
      { ...options(), width: Math.max(element.clientWidth, 100), height },
      data,
      element,
    );
    chart.current = made;
    const observer = new ResizeObserver(() =>
      made.setSize({ width: Math.max(element.clientWidth, 100), height })
    );
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      chart.current = null;
    };
  }, [options, height, shown]);
  const drawn = useRef(data);
  useEffect(() => {
    if (drawn.current !== data) chart.current?.setData(data);
    drawn.current = data;
  }, [data]);
  return <div class="chart" ref={holder} role="img" aria-label={label}></div>;
}
