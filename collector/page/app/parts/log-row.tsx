/**
 * A log record in a list.
 *
 * @module
 */
import type { JSX } from "preact";
import type { Log, Resource } from "../../../store/queries/types.ts";
import { formatAddress } from "../logic/address.ts";
import { cut, oneLine } from "../logic/cut.ts";
import { severity } from "../logic/severity.ts";
import { clockTime, dateTime, toMs } from "../logic/time.ts";
import { valueText } from "../logic/values.ts";
import { question, useAnswer } from "../data/api.ts";
import { change } from "../data/use-address.ts";
import { Attributes } from "./attributes.tsx";
import { logText } from "./log-lines.tsx";
import { memo } from "./memo.ts";
import { Long, Name, Service } from "./text.tsx";

function Fields({ log }: { log: Log }): JSX.Element {
  const resources = useAnswer<readonly Resource[]>(question(["resources"]));
  const resource = resources.data?.find(({ id }) => id === log.resourceId);
  return (
    <div class="log-fields">
      <pre
        class="body"
        tabIndex={0}
        aria-label="Body"
      ><Long text={valueText(log.body)} label="body" /></pre>
      <dl class="facts">
        <dt>Time</dt>
        <dd>{dateTime(toMs(log.timeNs))}</dd>
        <dt>Observed</dt>
        <dd>{dateTime(toMs(log.observedNs))}</dd>
        <dt>Severity</dt>
        <dd>
          <Name text={log.severityText} empty="–" /> <span class="muted">{log.severity}</span>
        </dd>
        {log.eventName !== "" && (
          <>
            <dt>Event</dt>
            <dd>
              <Long text={log.eventName} label="event name" />
            </dd>
          </>
        )}
        {log.traceId !== "" && (
          <>
            <dt>Trace</dt>
            <dd>
              <a href={formatAddress(["traces", log.traceId], { span: log.spanId })}>
                <code>{log.traceId}</code>
              </a>
            </dd>
          </>
        )}
        <dt>Process</dt>
        <dd>
          <a href={formatAddress(["logs"], { resource: log.resourceId })}>
            Only records of this process
          </a>
        </dd>
      </dl>
      <p class="part">Attributes</p>
      <Attributes attributes={log.attributes} label="Attributes of the record" findIn="logs" />
      {resource && (
        <>
          <p class="part">Resource</p>
          <Attributes
            attributes={resource.attributes}
            label="Attributes of the resource"
            findIn="logs"
          />
        </>
      )}
    </div>
  );
}

/** A line; chosen, it shows all fields. */
export const LogRow = memo(function LogRow({ log, open }: {
  log: Log;
  open: boolean;
}): JSX.Element {
  const text = logText(log);
  const line = cut(text, 400);
  const class_ = severity(log.severity);
  return (
    <li class={`log ${class_} ${open ? "open" : ""}`}>
      <div class="log-line">
        <button
          type="button"
          class="log-open"
          aria-expanded={open}
          onClick={() => change({ open: open ? "" : String(log.id) })}
        >
          <span class="log-time" title={dateTime(toMs(log.timeNs))}>
            {clockTime(toMs(log.timeNs))}
          </span>
          <span class={`severity ${class_}`}>{class_}</span>
          <Service name={log.service} />
          <span class="log-text">
            {text === "" ? <span class="muted">(empty)</span> : oneLine(line.text)}
            {line.more && "…"}
          </span>
        </button>
        {log.traceId !== "" && (
          <a
            class="log-trace"
            href={formatAddress(["traces", log.traceId], { span: log.spanId })}
            title="Open the trace"
          >
            trace
          </a>
        )}
      </div>
      {open && <Fields log={log} />}
    </li>
  );
});
