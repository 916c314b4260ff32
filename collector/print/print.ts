/**
 * What is collected, for people: one line for each span, log record and data point.
 *
 * @module
 */
import type { Signal } from "../../lib/otlp/request.ts";
import type { Environment } from "../options/variables.ts";
import { formatLogs } from "./logs.ts";
import { formatMetrics } from "./metrics.ts";
import { formatSpans } from "./spans.ts";
import type { PrintStyle } from "./values.ts";

/** Colours only on a terminal, and not when NO_COLOR is set to anything (no-color.org). */
export function wantsColor(isTTY: boolean | undefined, env: Environment): boolean {
  const { NO_COLOR } = env;
  return isTTY === true && (NO_COLOR === undefined || NO_COLOR === "");
}

const FORMATS = { traces: formatSpans, metrics: formatMetrics, logs: formatLogs } as const;

/**
 * One line, with its line break, for each item of an export request. Nothing in the items can move
 * the cursor, change colours or start another line.
 *
 * @param body The request as protobuf bytes.
 * @throws Error when they are something else.
 */
export function formatRequest(signal: Signal, body: Uint8Array, style: PrintStyle): string {
  return FORMATS[signal](body, style);
}
