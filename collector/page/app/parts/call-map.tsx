/**
 * The map of services.
 *
 * @module
 */
import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import type { Call, Overview } from "../../../store/queries/types.ts";
import { formatAddress } from "../logic/address.ts";
import { cut, oneLine } from "../logic/cut.ts";
import { count, percent, rate } from "../logic/numbers.ts";
import { layOut, type Place } from "../logic/service-map.ts";
import { duration } from "../logic/time.ts";
import { serviceColour } from "./text.tsx";

const WIDTH = 160;
const HEIGHT = 40;
const GAP_X = 100;
const GAP_Y = 18;

function label(name: string): string {
  return name === "" ? "(no service)" : oneLine(cut(name, 20).text) + (name.length > 20 ? "…" : "");
}

/** Services as boxes, calls as lines whose width grows with their number. */
export function CallMap({ overview, time }: {
  overview: Overview;
  time: Record<string, string>;
}): JSX.Element {
  const [looked, setLooked] = useState<string | null>(null);
  const names = overview.services.map(({ service }) => service);
  const shape = JSON.stringify([names, overview.calls.map(({ from, to }) => [from, to])]);
  const map = useMemo(() => layOut(names, overview.calls), [shape]);
  const places = new Map(map.places.map((place) => [place.name, place]));
  const most = Math.max(1, ...overview.calls.map((call) => call.count));
  const x = (place: Place): number => 4 + place.layer * (WIDTH + GAP_X);
  const y = (place: Place): number => 4 + place.row * (HEIGHT + GAP_Y);
  const width = map.layers * (WIDTH + GAP_X) - GAP_X + 8;
  const room = map.rows * (HEIGHT + GAP_Y) - GAP_Y + 8;
  const calls = overview.calls.filter(({ from, to }) =>
    from !== to && places.has(from) && places.has(to)
  );
  const back = calls.some((call) => places.get(call.to)!.layer <= places.get(call.from)!.layer);
  if (calls.length === 0) {
    return <p class="muted">No service called another one in this time.</p>;
  }
  // A call against the direction of the map goes around below the boxes.
  const height = room + (back ? 36 : 0);
  return (
    <>
      <div class="scroll map" tabIndex={0} role="region" aria-label="Map of services">
        <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`}>
          <defs>
            <marker
              id="arrow"
              viewBox="0 0 8 8"
              refX="7"
              refY="4"
              markerWidth="8"
              markerHeight="8"
              markerUnits="userSpaceOnUse"
              orient="auto"
            >
              <path class="arrow" d="M0 0L8 4L0 8Z" />
            </marker>
          </defs>
          {calls.map((call) => (
            <Line
              key={`${call.from}\n${call.to}`}
              call={call}
              faded={looked !== null && call.from !== looked && call.to !== looked}
              told={looked !== null
                ? call.from === looked || call.to === looked
                : calls.length <= 12}
              width={1 + 4 * Math.sqrt(call.count / most)}
              from={[x(places.get(call.from)!), y(places.get(call.from)!)]}
              to={[x(places.get(call.to)!), y(places.get(call.to)!)]}
            />
          ))}
          {overview.services.map((service) => {
            const place = places.get(service.service)!;
            const errors = service.requests > 0 ? service.errors / service.requests : 0;
            return (
              <a
                key={service.service}
                href={formatAddress(["traces"], { service: service.service, ...time })}
                onMouseEnter={() => setLooked(service.service)}
                onMouseLeave={() => setLooked(null)}
                onFocus={() => setLooked(service.service)}
                onBlur={() => setLooked(null)}
              >
                <rect
                  class={`box ${errors > 0.01 ? "bad" : ""}`}
                  x={x(place)}
                  y={y(place)}
                  width={WIDTH}
                  height={HEIGHT}
                  rx="5"
                />
                <rect
                  class={`fill ${serviceColour(service.service)}`}
                  x={x(place)}
                  y={y(place) + 5}
                  width="4"
                  height={HEIGHT - 10}
                  rx="2"
                />
                <text class="box-name" x={x(place) + 12} y={y(place) + 17}>
                  {label(service.service)}
                </text>
                <text class="box-figure" x={x(place) + 12} y={y(place) + 32}>
                  {rate(service.perSecond)}
                  {service.requests > 0 ? ` · p95 ${duration(service.p95)}` : ""}
                </text>
                {errors > 0 && (
                  <text
                    class="box-errors"
                    x={x(place) + WIDTH - 8}
                    y={y(place) + 17}
                    text-anchor="end"
                  >
                    {percent(errors)}
                  </text>
                )}
              </a>
            );
          })}
        </svg>
      </div>
      <details class="calls">
        <summary>Calls as a table</summary>
        <table class="figures" aria-label="Calls between services">
          <thead>
            <tr>
              <th scope="col">From</th>
              <th scope="col">To</th>
              <th scope="col" class="number">Calls</th>
              <th scope="col" class="number">Errors</th>
              <th scope="col" class="number">p50</th>
              <th scope="col" class="number">p95</th>
            </tr>
          </thead>
          <tbody>
            {calls.map((call) => (
              <tr key={`${call.from}\n${call.to}`}>
                <td>{label(call.from)}</td>
                <td>{label(call.to)}</td>
                <td class="number">{count(call.count)}</td>
                <td class="number">{percent(call.errors / call.count)}</td>
                <td class="number">{duration(call.p50)}</td>
                <td class="number">{duration(call.p95)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </>
  );
}

function Line({ call, from, to, width, faded, told }: {
  call: Call;
  from: [number, number];
  to: [number, number];
  width: number;
  faded: boolean;
  told: boolean;
}): JSX.Element {
  const back = to[0] <= from[0];
  const [x1, y1] = [from[0] + WIDTH, from[1] + HEIGHT / 2];
  const [x2, y2] = [to[0], to[1] + HEIGHT / 2];
  const bend = Math.max(40, (x2 - x1) / 2);
  // A call against the direction of the map goes around below both boxes.
  const path = back
    ? `M${x1 - WIDTH / 2} ${from[1] + HEIGHT}C${x1 - WIDTH / 2} ${from[1] + HEIGHT + 40} ${
      x2 + WIDTH / 2
    } ${to[1] + HEIGHT + 40} ${x2 + WIDTH / 2} ${to[1] + HEIGHT}`
    : `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
  // Past the middle of the way, lines of the same caller are apart.
  const t = 0.62;
  const mix = (a: number, b: number, c: number, d: number): number =>
    (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t ** 2 * c + t ** 3 * d;
  const bad = call.errors / call.count > 0.01;
  return (
    <g class={`call ${bad ? "bad" : ""} ${faded ? "faded" : ""}`}>
      <path d={path} stroke-width={width.toFixed(1)} marker-end="url(#arrow)" />
      {told && !back && x2 - x1 <= GAP_X && (
        <text
          x={mix(x1, x1 + bend, x2 - bend, x2)}
          y={mix(y1, y1, y2, y2) - 4}
          text-anchor="middle"
        >
          {count(call.count)}
        </text>
      )}
    </g>
  );
}
