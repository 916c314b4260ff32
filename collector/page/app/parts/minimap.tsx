/**
 * A whole trace in little, in which a stretch of time can be selected.
 *
 * @module
 */
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { duration } from "../logic/time.ts";
import type { Tree } from "../logic/tree.ts";
import { colour, useTheme } from "../data/theme.ts";
import { serviceColour } from "./text.tsx";
import type { Zoom } from "./waterfall.tsx";

const HEIGHT = 56;

/** The map; a drag selects, a double click shows everything again. */
export function Minimap({ tree, zoom, onZoom }: {
  tree: Tree;
  zoom: Zoom;
  onZoom: (zoom: Zoom | null) => void;
}): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [drag, setDrag] = useState<{ from: number; to: number } | null>(null);
  const { shown } = useTheme();
  useEffect(() => {
    const element = canvas.current!;
    const draw = (): void => {
      const ratio = devicePixelRatio || 1;
      element.width = Math.max(1, element.clientWidth * ratio);
      element.height = HEIGHT * ratio;
      const context = element.getContext("2d")!;
      const { nodes } = tree;
      const length = tree.length || 1;
      const step = Math.min(6 * ratio, element.height / Math.max(nodes.length, 1));
      for (const node of nodes) {
        context.fillStyle = colour(
          node.span.status === "error" ? "bad" : serviceColour(node.span.service),
        );
        context.fillRect(
          node.start / length * element.width,
          node.index * step,
          Math.max(1, (node.end - node.start) / length * element.width),
          Math.max(1, step - (step > 2 ? 1 : 0)),
        );
      }
    };
    draw();
    const observer = new ResizeObserver(draw);
    observer.observe(element);
    return () => observer.disconnect();
  }, [tree, shown]);

  const share = (event: PointerEvent): number => {
    const box = canvas.current!.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  };
  const seen = drag
    ? { from: Math.min(drag.from, drag.to), to: Math.max(drag.from, drag.to) }
    : { from: zoom.from / (tree.length || 1), to: tree.length > 0 ? zoom.to / tree.length : 1 };
  const whole = seen.from <= 0 && seen.to >= 1;
  return (
    <div
      class="minimap"
      title="Drag to zoom in, double click to see everything"
      onPointerDown={(event) => {
        if (event.button !== 0) return;
        event.currentTarget.setPointerCapture(event.pointerId);
        setDrag({ from: share(event), to: share(event) });
      }}
      onPointerMove={(event) => drag && setDrag({ from: drag.from, to: share(event) })}
      onPointerUp={() => {
        if (drag && seen.to - seen.from > 0.002) {
          onZoom({ from: seen.from * tree.length, to: seen.to * tree.length });
        }
        setDrag(null);
      }}
      onPointerCancel={() => setDrag(null)}
      onDblClick={() => onZoom(null)}
    >
      <canvas
        ref={canvas}
        role="img"
        aria-label={`The whole trace in little, ${duration(tree.length * 1e6)}`}
      >
      </canvas>
      {!whole && (
        <>
          <span class="shade" style={{ left: "0", width: `${seen.from * 100}%` }}></span>
          <span class="shade" style={{ left: `${seen.to * 100}%`, right: "0" }}></span>
        </>
      )}
    </div>
  );
}
