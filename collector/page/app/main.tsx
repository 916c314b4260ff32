/**
 * The page: shows the view that its address names.
 *
 * @module
 */
import { type JSX, render } from "preact";
import { useEffect } from "preact/hooks";
import { useAddress } from "./data/use-address.ts";
import { Shell, VIEWS } from "./parts/shell.tsx";
import { Empty } from "./parts/states.tsx";
import { CompareView } from "./views/compare.tsx";
import { CrashView } from "./views/crash.tsx";
import { CrashesView } from "./views/crashes.tsx";
import { LogsView } from "./views/logs.tsx";
import { MetricsView } from "./views/metrics.tsx";
import { OverviewView } from "./views/overview.tsx";
import { TraceView } from "./views/trace.tsx";
import { TracesView } from "./views/traces.tsx";

function View(): JSX.Element {
  const address = useAddress();
  const [view = "", id = "", other = ""] = address.path;
  useEffect(() => {
    const label = VIEWS.find(([path]) => path === view)?.[1] ?? "Traces";
    document.title = `${label} – otlp-mmap`;
  }, [view]);
  if (view === "") return <OverviewView address={address} />;
  if (view === "traces" && id === "") return <TracesView address={address} />;
  if (view === "traces") return <TraceView key={id} address={address} traceId={id} />;
  if (view === "compare") return <CompareView a={id} b={other} />;
  if (view === "logs") return <LogsView address={address} />;
  if (view === "metrics") return <MetricsView address={address} streamId={id} />;
  if (view === "crashes" && id === "") return <CrashesView />;
  if (view === "crashes") return <CrashView key={id} address={address} resourceId={id} />;
  return (
    <>
      <h1>Nothing here</h1>
      <Empty title="There is no such view.">
        <p>
          The address may have been cut. <a href="#/">Go to the overview</a>.
        </p>
      </Empty>
    </>
  );
}

render(
  <Shell>
    <View />
  </Shell>,
  document.getElementById("app")!,
);
