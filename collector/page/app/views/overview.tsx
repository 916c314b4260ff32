/**
 * Services, who calls whom, and the processes that record.
 *
 * @module
 */
import type { JSX } from "preact";
import type { Overview, ServiceFigures } from "../../../store/queries/types.ts";
import { type Address, formatAddress, timeQuery } from "../logic/address.ts";
import { bytes, count, percent, rate } from "../logic/numbers.ts";
import { duration } from "../logic/time.ts";
import type { State } from "../data/answers.ts";
import { question, useAnswer } from "../data/api.ts";
import { useLive, useVersion } from "../data/live.ts";
import { useRange } from "../data/use-address.ts";
import { Processes } from "../parts/processes.tsx";
import { RangePicker } from "../parts/range.tsx";
import { CallMap } from "../parts/call-map.tsx";
import { Sparkline } from "../parts/sparkline.tsx";
import { Empty, Of } from "../parts/states.tsx";
import { Service } from "../parts/text.tsx";

const STEPS = 40;

/** The first view. */
export function OverviewView({ address }: { address: Address }): JSX.Element {
  const moving = address.query.from === undefined;
  const version = useVersion(moving, 3000);
  const range = useRange(address, version);
  const live = useLive();
  const state = useAnswer<State>(question(["state"]), version);
  const overview = useAnswer<Overview>(
    question(["overview"], {
      from: Math.floor(range.fromMs),
      to: Math.ceil(range.toMs),
      steps: STEPS,
    }),
  );
  return (
    <>
      <div class="head">
        <h1>Overview</h1>
        {state.data && (
          <p class="muted holds">
            {count(state.data.spans)} spans, {count(state.data.logs)} log records and{" "}
            {count(state.data.points)} metric points in {bytes(state.data.bytes)}
          </p>
        )}
        <RangePicker range={range} />
      </div>
      <Of answer={overview}>
        {(data) =>
          data.services.length === 0
            ? <Nothing state={state.data} wide={range.last === "7d"} />
            : (
              <>
                <section aria-labelledby="services">
                  <h2 id="services">Services</h2>
                  <Services services={data.services} time={timeQuery(address)} />
                </section>
                <section aria-labelledby="calls">
                  <h2 id="calls">Who calls whom</h2>
                  <CallMap overview={data} time={timeQuery(address)} />
                </section>
              </>
            )}
      </Of>
      <section aria-labelledby="processes">
        <h2 id="processes">Processes</h2>
        {live && live.processes.length > 0
          ? <Processes processes={live.processes} />
          : (
            <p class="muted">
              {live === undefined
                ? "Waiting for the collector…"
                : "No process that records to a file is seen; programs that send OTLP have none."}
            </p>
          )}
      </section>
    </>
  );
}
function Nothing({ state, wide }: { state: State | undefined; wide: boolean }): JSX.Element {
  const older = state !== undefined && state.spans > 0;
  return (
    <Empty title={older ? "No spans in this time." : "No spans yet."}>
      {older && !wide
        ? (
          <p>
            The store holds {count(state.spans)} spans, older than this.{" "}
            <a href={formatAddress([], { last: "7d" })}>Show the last 7 days</a>.
          </p>
        )
        : (
          <>
            <p>Start a program that records, and it shows up here within a second:</p>
            <pre
              tabIndex={0}
            >bun --preload otlp-mmap/register app.ts
deno run -A --preload=npm:otlp-mmap/register app.ts</pre>
            {state?.receivers && state.receivers.length > 0 && (
              <p>
                Programs in other languages can send OTLP to {state.receivers.join(" and ")}.
              </p>
            )}
          </>
        )}
    </Empty>
  );
}

function Services({ services, time }: {
  services: readonly ServiceFigures[];
  time: Record<string, string>;
}): JSX.Element {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Figures of services">
      <table class="figures">
        <thead>
          <tr>
            <th scope="col">Service</th>
            <th scope="col" class="number">Requests</th>
            <th scope="col">Rate</th>
            <th scope="col" class="number">Errors</th>
            <th scope="col" class="number">p50</th>
            <th scope="col" class="number">p95</th>
            <th scope="col" class="number">p99</th>
            <th scope="col">p95 over time</th>
            <th scope="col" class="number">Spans</th>
          </tr>
        </thead>
        <tbody>
          {services.map((service) => {
            const share = service.requests > 0 ? service.errors / service.requests : 0;
            const find = { service: service.service, ...time };
            return (
              <tr key={service.service}>
                <th scope="row">
                  <a href={formatAddress(["traces"], find)}>
                    <Service name={service.service} />
                  </a>
                </th>
                <td class="number">{count(service.requests)}</td>
                <td>
                  <Sparkline
                    values={service.steps.map(({ requests }) => requests)}
                    marks={service.steps.map(({ errors }) => errors > 0)}
                    label={`Requests: ${rate(service.perSecond)}`}
                  />{" "}
                  <span class="unit">{rate(service.perSecond)}</span>
                </td>
                <td class="number">
                  {service.errors > 0
                    ? (
                      <a class="bad" href={formatAddress(["traces"], { ...find, status: "error" })}>
                        {percent(share)}
                        <span class="hidden">
                          of requests to {service.service.slice(0, 60)} failed
                        </span>
                      </a>
                    )
                    : <span class="muted">0%</span>}
                </td>
                <td class="number">{service.requests > 0 ? duration(service.p50) : "–"}</td>
                <td class="number">{service.requests > 0 ? duration(service.p95) : "–"}</td>
                <td class="number">{service.requests > 0 ? duration(service.p99) : "–"}</td>
                <td>
                  <Sparkline
                    values={service.steps.map(({ p95 }) => p95)}
                    label={`95th percentile over time, at most ${
                      duration(Math.max(0, ...service.steps.map(({ p95 }) => p95)))
                    }`}
                  />
                </td>
                <td class="number">{count(service.spans)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
