/**
 * Times and durations as text. Times come as decimal text of nanoseconds since the epoch, which fit no
 * JavaScript number; what is drawn is in milliseconds relative to something.
 *
 * @module
 */

/** Milliseconds since the epoch, with what a number keeps of the fraction (about 0.2 µs). */
export function toMs(ns: string): number {
  return Number(BigInt(ns) / 1000n) / 1000;
}

/** Exact milliseconds from one time to another, both in nanoseconds as text. */
export function msBetween(fromNs: string, toNs: string): number {
  return Number(BigInt(toNs) - BigInt(fromNs)) / 1e6;
}

function pad(value: number, digits: number): string {
  return String(value).padStart(digits, "0");
}

/** The time of day, local, to the millisecond: `14:03:07.042`. */
export function clockTime(ms: number): string {
  const date = new Date(ms);
  return `${pad(date.getHours(), 2)}:${pad(date.getMinutes(), 2)}:${pad(date.getSeconds(), 2)}.${
    pad(date.getMilliseconds(), 3)
  }`;
}

/** Date and time, local, to the millisecond: `2026-11-21 14:03:07.042`. */
export function dateTime(ms: number): string {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return "–";
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1, 2)}-${pad(date.getDate(), 2)}`;
  return `${day} ${clockTime(ms)}`;
}

/** The time of day, with the date in front unless it is the day of `now`. */
export function timeNear(ms: number, now: number): string {
  const same = new Date(ms).toDateString() === new Date(now).toDateString();
  return same ? clockTime(ms) : dateTime(ms);
}

const STEPS: readonly (readonly [unit: string, ns: number])[] = [
  ["ns", 1],
  ["µs", 1e3],
  ["ms", 1e6],
  ["s", 1e9],
];

/** Three significant digits, without trailing zeros. */
function short(value: number): string {
  if (value === 0) return "0";
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return String(Number(value.toFixed(digits)));
}

/** A duration of nanoseconds with its unit: `870 ns`, `1.24 ms`, `2 min 3 s`. */
export function duration(ns: number): string {
  if (!Number.isFinite(ns)) return "–";
  if (ns < 0) return `−${duration(-ns)}`;
  if (ns >= 59.95e9) {
    const seconds = Math.round(ns / 1e9);
    const [days, hours, minutes] = [
      Math.floor(seconds / 86_400),
      Math.floor(seconds / 3600) % 24,
      Math.floor(seconds / 60) % 60,
    ];
    if (days > 0) return hours > 0 ? `${days} d ${hours} h` : `${days} d`;
    if (hours > 0) return minutes > 0 ? `${hours} h ${minutes} min` : `${hours} h`;
    return seconds % 60 > 0 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`;
  }
  let step = STEPS[0]!;
  // 999.6 µs would round to 1000 µs: the next unit takes over where rounding would reach it.
  for (const next of STEPS) if (ns >= next[1] * 0.9995) step = next;
  return `${short(ns / step[1])} ${step[0]}`;
}

/** How long ago, in whole words: `12 s ago`. */
export function ago(ms: number, now: number): string {
  const elapsed = now - ms;
  if (elapsed < 1000) return "now";
  const seconds = Math.floor(elapsed / 1000);
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

const DURATION = /^\s*(\d+(?:\.\d+)?)\s*(ns|us|µs|ms|s|m|min|h)?\s*$/;
const NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  "µs": 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  min: 60e9,
  h: 3600e9,
};

/** Nanoseconds of `250ms`, `1.5 s` or `20` (milliseconds); undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const match = DURATION.exec(text);
  return match ? Math.round(Number(match[1]) * NS[match[2] ?? "ms"]!) : undefined;
}

/** Round steps for about `count` ticks from 0 to `span`, in the unit of `span`. */
export function ticks(span: number, count: number): number[] {
  if (!(span > 0)) return [0];
  const rough = span / Math.max(count, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  const out: number[] = [];
  for (let i = 0; i * step <= span * 1.0001; i++) out.push(i * step);
  return out;
}

/** The powers of ten from `low` to `high`: the lines of a logarithmic axis. */
export function powersOfTen(low: number, high: number): number[] {
  const out: number[] = [];
  for (let power = Math.ceil(Math.log10(low) - 1e-9); 10 ** power <= high * 1.0001; power++) {
    out.push(10 ** power);
  }
  return out;
}
