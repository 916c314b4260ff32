/**
 * Log records beside something else, with their time relative to it.
 *
 * @module
 */
import type { JSX } from "preact";
import type { Log } from "../../../store/queries/types.ts";
import { severity } from "../logic/severity.ts";
import { duration, msBetween } from "../logic/time.ts";
import { attributesText, valueText } from "../logic/values.ts";
import { Long } from "./text.tsx";

/** The text of a record: its body, else its event name, else its attributes. */
export function logText(log: Log): string {
  return valueText(log.body) || log.eventName || attributesText(log.attributes);
}

/** A short list. */
export function LogLines({ logs, startNs, label, onSpan }: {
  logs: readonly Log[];
  startNs: string;
  label: string;
  /** What to do when a record's span is chosen. */
  onSpan?: (spanId: string) => void;
}): JSX.Element {
  return (
    <ol class="log-lines" aria-label={label}>
      {logs.map((log) => (
        <li key={log.id}>
          <span class="log-at">+{duration(msBetween(startNs, log.timeNs) * 1e6)}</span>
          <span class={`severity ${severity(log.severity)}`}>{severity(log.severity)}</span>
          <span class="log-text">
            <Long text={logText(log)} label="log record" />
          </span>
          {onSpan && log.spanId !== "" && (
            <button
              type="button"
              class="small"
              onClick={() => onSpan(log.spanId)}
            >
              span
            </button>
          )}
        </li>
      ))}
    </ol>
  );
}
