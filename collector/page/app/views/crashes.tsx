/**
 * Processes that died.
 *
 * @module
 */
import type { JSX } from "preact";
import type { Crash } from "../../../store/queries/types.ts";
import { formatAddress } from "../logic/address.ts";
import { several } from "../logic/numbers.ts";
import { ago, dateTime, toMs } from "../logic/time.ts";
import { attribute } from "../logic/values.ts";
import { question, useAnswer } from "../data/api.ts";
import { useVersion } from "../data/live.ts";
import { Empty, Of } from "../parts/states.tsx";
import { Name, Service } from "../parts/text.tsx";

/** The list of crashes. */
export function CrashesView(): JSX.Element {
  const version = useVersion(true, 3000);
  const crashes = useAnswer<readonly Crash[]>(question(["crashes"]), version);
  const now = Date.now();
  return (
    <>
      <div class="head">
        <h1>Crashes</h1>
        <p class="muted">
          Processes that did not end in order: killed, crashed, or with an exit code other than 0.
        </p>
      </div>
      <Of answer={crashes}>
        {(list) =>
          list.length === 0
            ? (
              <Empty title="No process died.">
                <p>
                  When one is killed, runs out of memory or crashes, it appears here by itself with
                  its last seconds: what it was doing, its last log records, its last measurements.
                </p>
              </Empty>
            )
            : (
              <ul class="crashes">
                {list.map(({ resource, lastNs, interrupted }) => (
                  <li key={resource.id}>
                    <a href={formatAddress(["crashes", String(resource.id)])}>
                      <Service name={resource.service} />
                      <span class="crash-when">
                        {dateTime(toMs(lastNs))} <span class="muted">{ago(toMs(lastNs), now)}</span>
                      </span>
                      <span class="muted">
                        <Name
                          text={[
                            attribute(resource.attributes, "process.runtime.name"),
                            attribute(resource.attributes, "process.pid") &&
                            `pid ${attribute(resource.attributes, "process.pid")}`,
                            attribute(resource.attributes, "host.name"),
                          ].filter((part) => part !== "").join(" · ")}
                          empty="unknown process"
                        />
                      </span>
                      {interrupted === 0
                        ? <span class="muted">no span was open</span>
                        : <span class="bad">{several(interrupted, "span")} cut off</span>}
                    </a>
                  </li>
                ))}
              </ul>
            )}
      </Of>
    </>
  );
}
