/**
 * Advice about sizes as text for people.
 *
 * @module
 */
import { counted, formatBytes, formatCount } from "../inspect/units.ts";
import {
  type Advice,
  BODY_BYTES,
  DEFAULT_ATTRIBUTE_BYTES,
  DEFAULT_ATTRIBUTES,
  type Load,
  NAME_BYTES,
} from "./size.ts";

/** Each line with its line break. */
export function formatAdvice(load: Load, advice: Advice): string {
  const table = [
    ["ring", "records", "slots needed", "slots", "slot bytes", "size"],
    ...advice.rings.map((ring) => [
      ring.name,
      formatCount(ring.records),
      formatCount(ring.neededSlots),
      formatCount(ring.slots),
      formatCount(ring.slotBytes),
      formatBytes(ring.bytes),
    ]),
  ];
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  const lines = table.map((row) =>
    row.map((cell, column) => column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))
      .join("  ")
  );
  lines.push(
    "",
    `The file has ${formatBytes(advice.bytes)} (${formatCount(advice.bytes)} bytes), and up to ${
      formatBytes(advice.mostBytes)
    } as its dictionary grows.`,
    "",
    ...howToSet(advice),
    "",
    "Assumed:",
    ...assumptions(load).map((line) => `- ${line}`),
  );
  return lines.join("\n") + "\n";
}

function howToSet({ sizes, variables }: Advice): string[] {
  const rings = Object.entries(sizes);
  if (rings.length === 0) return ["That is what every file has: there is nothing to set."];
  const parts = rings.map(([name, size]) => {
    const fields = Object.entries(size).map(([key, value]) => `${key}: ${value}`).join(", ");
    return `    ${name}: { ${fields} },`;
  });
  return [
    "Set it in the application's environment:",
    "",
    ...Object.entries(variables).map(([name, value]) => `  ${name}=${value}`),
    "",
    "or in the program, in each Worker as well:",
    "",
    "  start({",
    "    sizes: {",
    ...parts.map((part) => `  ${part}`),
    "    },",
    "  });",
  ];
}

function assumptions(load: Load): string[] {
  const { attributes, attributeBytes, burst, events, pauseMs, rate, updates } = load;
  const lines = [
    `The collector takes nothing for ${pauseMs / 1000} s (--pause), and otherwise keeps up.`,
    `In that time come ${counted(rate, "span")} a second (--rate) and ${formatCount(burst)} at ` +
    `once (--burst), ${counted(load.logsRate, "log record")} a second (--logs-rate) and ${
      formatCount(load.logsBurst)
    } at once (--logs-burst), ${counted(load.measurementsRate, "measurement")} a second ` +
    `(--measurements-rate) and ${formatCount(load.measurementsBurst)} at once ` +
    "(--measurements-burst).",
    "All of it is recorded in one thread: each process and each Worker has a file of its own.",
    `A span takes ${formatCount(2 + updates)} records: its start, its end, and ${
      formatCount(updates)
    } for calls in between (--updates). It has ${counted(events, "event")} (--events).`,
  ];
  if (attributes === undefined && attributeBytes === undefined) {
    lines.push(
      "Slots have their default sizes, about 1,000 bytes for a span's start and its attributes; " +
        "--attributes and --attribute-bytes fit them to yours.",
    );
  } else {
    lines.push(
      `A record has ${counted(attributes ?? DEFAULT_ATTRIBUTES, "attribute")} (--attributes) of ${
        counted(attributeBytes ?? DEFAULT_ATTRIBUTE_BYTES, "byte")
      } (--attribute-bytes), a span's name ${NAME_BYTES} bytes and a log record's text ` +
        `${BODY_BYTES}, in UTF-8. What is longer is cut, or takes further records.`,
    );
  }
  return lines;
}
