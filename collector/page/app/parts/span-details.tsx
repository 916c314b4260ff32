/**
 * Everything about one span.
 *
 * @module
 */
import type { ComponentChildren, JSX } from "preact";
import type { Log, Trace } from "../../../store/queries/types.ts";
import { formatAddress } from "../logic/address.ts";
import { count } from "../logic/numbers.ts";
import { dateTime, duration, msBetween, toMs } from "../logic/time.ts";
import type { Node } from "../logic/tree.ts";
import { Attributes } from "./attributes.tsx";
import { LogLines } from "./log-lines.tsx";
import { Long, Name, Service } from "./text.tsx";

function Part({ title, number, open, children }: {
  title: string;
  number?: number;
  open?: boolean;
  children: ComponentChildren;
}): JSX.Element {
  return (
    <details open={open}>
      <summary>
        {title}
        {number !== undefined && <span class="muted">{count(number)}</span>}
      </summary>
      {children}
    </details>
  );
}

function Dropped({ number, what }: { number: number; what: string }): JSX.Element | null {
  return number > 0 ? <p class="warn">{count(number)} more {what} were dropped.</p> : null;
}

/** The panel beside the waterfall. */
export function SpanDetails({ node, trace, startNs, logs, onClose, onZoom }: {
  node: Node;
  trace: Trace | undefined;
  startNs: string;
  logs: readonly Log[];
  onClose: () => void;
  onZoom: () => void;
}): JSX.Element {
  const { span } = node;
  const resource = trace?.resources[span.resourceId ?? -1];
  const scope = span.scopeId === undefined ? undefined : trace?.scopes[span.scopeId];
  return (
    <aside class="details" aria-label="Span">
      <div class="details-head">
        <h2>
          <Name text={span.name} />
        </h2>
        <button type="button" class="small" aria-label="Close details" onClick={onClose}>×</button>
      </div>
      {span.name.length > 160 && (
        <p>
          <Long text={span.name} label="name" />
        </p>
      )}
      <p class="details-facts">
        <Service name={span.service} />
        <span class="badge quiet">{span.kind}</span>
        {span.status !== "unset" && (
          <span class={`badge ${span.status === "error" ? "bad" : "good"}`}>{span.status}</span>
        )}
      </p>
      {span.open && (
        <p class="note open">Still open: it has been running for {duration(span.durationNs)}.</p>
      )}
      {span.interrupted && (
        <p class="note cut">
          Cut off: its process died before this span ended. It ran at least{" "}
          {duration(span.durationNs)}; its length is up to its last sign.{" "}
          <a href={formatAddress(["crashes", String(span.resourceId)])}>
            Last seconds of the process
          </a>
        </p>
      )}
      {span.statusMessage !== "" && (
        <p class="note bad">
          <Long text={span.statusMessage} label="status message" />
        </p>
      )}
      <dl class="facts">
        <dt>Start</dt>
        <dd>
          {dateTime(toMs(span.startNs))} <span class="muted">+{duration(node.start * 1e6)}</span>
        </dd>
        <dt>Duration</dt>
        <dd>{duration(span.durationNs)}</dd>
        <dt>Span</dt>
        <dd>
          <code>{span.spanId}</code>
        </dd>
        {span.parentSpanId !== "" && (
          <>
            <dt>Parent</dt>
            <dd>
              <code>{span.parentSpanId}</code>{" "}
              {node.orphan && <span class="muted">not in the store</span>}
            </dd>
          </>
        )}
        {span.traceState !== "" && (
          <>
            <dt>Trace state</dt>
            <dd>
              <Long text={span.traceState} label="trace state" />
            </dd>
          </>
        )}
      </dl>
      <p class="actions">
        <button type="button" class="small" onClick={onZoom}>Zoom to this span</button>
        <a
          href={formatAddress(["logs"], {
            trace: span.traceId,
            span: span.spanId,
            // A little more than the trace: its logs may come late.
            from: Math.floor(toMs(span.startNs)) - 60_000,
            to: Math.ceil(toMs(span.startNs) + span.durationNs / 1e6) + 60_000,
          })}
        >
          Logs of this span
        </a>
      </p>
      <Part title="Attributes" number={span.attributes.length} open>
        <Attributes attributes={span.attributes} label="Attributes of the span" findIn="traces" />
        <Dropped number={span.droppedAttributes} what="attributes" />
      </Part>
      {span.events.length + span.droppedEvents > 0 && (
        <Part title="Events" number={span.events.length} open>
          <ol class="events">
            {span.events.map((event, i) => (
              <li key={i} class={event.name === "exception" ? "bad" : ""}>
                <span class="event-head">
                  <b>
                    <Name text={event.name} />
                  </b>
                  <span class="muted">+{duration(msBetween(startNs, event.timeNs) * 1e6)}</span>
                </span>
                {event.attributes.length > 0 && (
                  <Attributes attributes={event.attributes} label="Attributes of the event" />
                )}
                <Dropped number={event.droppedAttributes} what="attributes" />
              </li>
            ))}
          </ol>
          <Dropped number={span.droppedEvents} what="events" />
        </Part>
      )}
      {span.links.length + span.droppedLinks > 0 && (
        <Part title="Links" number={span.links.length} open>
          <ul class="links">
            {span.links.map((link, i) => (
              <li key={i}>
                <a href={formatAddress(["traces", link.traceId], { span: link.spanId })}>
                  {link.traceId === span.traceId ? "Span" : "Trace"}{" "}
                  <code>{link.traceId === span.traceId ? link.spanId : link.traceId}</code>
                </a>
                {link.attributes.length > 0 && (
                  <Attributes attributes={link.attributes} label="Attributes of the link" />
                )}
              </li>
            ))}
          </ul>
          <Dropped number={span.droppedLinks} what="links" />
        </Part>
      )}
      {logs.length > 0 && (
        <Part title="Logs" number={logs.length} open>
          <LogLines logs={logs} startNs={startNs} label="Logs of the span" />
        </Part>
      )}
      {resource && (
        <Part title="Resource" number={resource.attributes.length}>
          <Attributes
            attributes={resource.attributes}
            label="Attributes of the resource"
            findIn="traces"
          />
        </Part>
      )}
      {scope && (
        <Part title="Scope">
          <p>
            <Name text={scope.name} /> <span class="muted">{scope.version}</span>
          </p>
          {scope.attributes.length > 0 && (
            <Attributes attributes={scope.attributes} label="Attributes of the scope" />
          )}
        </Part>
      )}
    </aside>
  );
}
