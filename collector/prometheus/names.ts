/**
 * Names of OpenTelemetry as Prometheus has them.
 *
 * Specification, "Prometheus and OpenMetrics Compatibility": Metric Metadata, Metric Attributes.
 *
 * @module
 */

/** Words for units of UCUM; others stay as they are. */
const UNITS: ReadonlyMap<string, string> = new Map([
  ["d", "days"],
  ["h", "hours"],
  ["min", "minutes"],
  ["s", "seconds"],
  ["ms", "milliseconds"],
  ["us", "microseconds"],
  ["ns", "nanoseconds"],
  ["By", "bytes"],
  ["KiBy", "kibibytes"],
  ["MiBy", "mebibytes"],
  ["GiBy", "gibibytes"],
  ["TiBy", "tibibytes"],
  ["KBy", "kilobytes"],
  ["MBy", "megabytes"],
  ["GBy", "gigabytes"],
  ["TBy", "terabytes"],
  ["m", "meters"],
  ["V", "volts"],
  ["A", "amperes"],
  ["J", "joules"],
  ["W", "watts"],
  ["g", "grams"],
  ["Cel", "celsius"],
  ["Hz", "hertz"],
  ["%", "percent"],
  ["1", ""],
]);

/** The same behind a "/". */
const PER_UNITS: ReadonlyMap<string, string> = new Map([
  ["s", "second"],
  ["m", "minute"],
  ["min", "minute"],
  ["h", "hour"],
  ["d", "day"],
  ["w", "week"],
  ["mo", "month"],
  ["y", "year"],
]);

/** What has a suffix of its own. */
export type Suffix = "counter" | "gauge" | "none";

/** Name of a metric: its words, its unit, and `total` for a counter. */
export function metricName(name: string, unit: string, suffix: Suffix): string {
  const words = wordsOf(name);
  // What a counter ends with comes after its unit.
  if (suffix === "counter" && words.at(-1) === "total") words.pop();
  const [main, per] = unitWords(unit);
  for (const word of main) if (!words.includes(word)) words.push(word);
  if (per.length > 0 && !words.includes(per[0])) words.push("per", ...per);
  if (suffix === "gauge" && unit.trim() === "1" && !words.includes("ratio")) words.push("ratio");
  if (suffix === "counter") words.push("total");
  const joined = words.join("_");
  return /^\d/.test(joined) || joined === "" ? `_${joined}` : joined;
}

function wordsOf(text: string): string[] {
  return text.split(/[^a-zA-Z0-9:]+/).filter((word) => word !== "");
}

function unitWords(unit: string): [main: string[], per: string[]] {
  const slash = unit.indexOf("/");
  const main = slash < 0 ? unit : unit.slice(0, slash);
  const per = slash < 0 ? "" : unit.slice(slash + 1);
  return [wordsOfUnit(main.trim(), UNITS), wordsOfUnit(per.trim(), PER_UNITS)];
}

function wordsOfUnit(unit: string, known: ReadonlyMap<string, string>): string[] {
  // Annotations such as {request} are for people.
  return /[{}]/.test(unit) ? [] : wordsOf(known.get(unit) ?? unit);
}

/** Name of a label. */
export function labelName(key: string): string {
  const name = key.replace(/[^a-zA-Z0-9]+/g, "_");
  return /^\d/.test(name) || name === "" ? `_${name}` : name;
}
