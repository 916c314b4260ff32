/**
 * Numbers with units as text.
 *
 * @module
 */
import { duration } from "./time.ts";

/** A count: `1,234`, from 100,000 on `123 k`. */
export function count(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size >= 1e9) return `${trim(value / 1e9)} G`;
  if (size >= 1e6) return `${trim(value / 1e6)} M`;
  if (size >= 1e5) return `${trim(value / 1e3)} k`;
  return size >= 1000 ? Math.round(value).toLocaleString("en-US") : trim(value);
}

function trim(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 0.001) return value.toExponential(1);
  return String(Number(value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3)));
}

/** Bytes in binary units: `1.5 MiB`. */
export function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${trim(value)} ${units[unit]}`;
}

/** A share of 1 in percent: `0.4%`; what is not nothing is never shown as 0%. */
export function percent(share: number): string {
  if (!Number.isFinite(share) || share === 0) return "0%";
  const value = share * 100;
  if (value < 0.1) return "<0.1%";
  return `${Number(value.toFixed(value < 10 ? 1 : 0))}%`;
}

const SECONDS: Readonly<Record<string, number>> = { s: 1e9, ms: 1e6, us: 1e3, "µs": 1e3, ns: 1 };

/** A measured value with its UCUM unit, in the words people use for it. */
export function measured(value: number, unit: string): string {
  if (!Number.isFinite(value)) return String(value);
  const ns = SECONDS[unit];
  if (ns !== undefined) return duration(value * ns);
  if (unit === "By") return bytes(value);
  if (unit === "By/s") return `${bytes(value)}/s`;
  if (unit === "1" || unit === "") return count(value);
  if (unit === "%") return `${count(value)}%`;
  if (unit.startsWith("/")) return `${count(value)}${unit}`;
  // An annotation such as {request} says what is counted.
  return `${count(value)} ${unit.replace(/^\{(.*?)\}/, "$1")}`;
}

/** A number of things: `1 span`, `2 spans`. */
export function several(number: number, thing: string): string {
  return `${count(number)} ${thing}${number === 1 ? "" : "s"}`;
}

/** How often something happens, in a unit that leaves a readable number: `1.2/s`, `1.9/min`, `1/h`. */
export function rate(perSecond: number): string {
  if (perSecond === 0 || perSecond >= 0.1) return `${count(perSecond)}/s`;
  if (perSecond * 60 >= 0.1) return `${count(perSecond * 60)}/min`;
  return `${count(perSecond * 3600)}/h`;
}
