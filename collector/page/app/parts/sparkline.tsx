/**
 * A small line without axes.
 *
 * @module
 */
import type { JSX } from "preact";

/** Values as a line over an area; marks stand where `marks` is true. */
export function Sparkline({ values, marks, label, width = 120, height = 22 }: {
  values: readonly number[];
  marks?: readonly boolean[];
  label: string;
  width?: number;
  height?: number;
}): JSX.Element {
  const most = Math.max(...values, 1e-9);
  const step = width / Math.max(values.length - 1, 1);
  const y = (value: number): number => height - 1.5 - (value / most) * (height - 4);
  const line = values.map((value, i) =>
    `${i === 0 ? "M" : "L"}${(i * step).toFixed(1)} ${y(value).toFixed(1)}`
  ).join("");
  return (
    <svg
      class="sparkline"
      viewBox={`0 0 ${width} ${height}`}
      width={width}
      height={height}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      {values.length > 0 && (
        <>
          <path class="spark-area" d={`${line}L${width} ${height}L0 ${height}Z`} />
          <path class="spark-line" d={line} />
        </>
      )}
      {marks?.map((mark, i) =>
        mark && <circle key={i} class="spark-mark" cx={i * step} cy={y(values[i]!)} r="2" />
      )}
    </svg>
  );
}
