/**
 * Records one thing and is killed after one of its steps: PATH OPERATION STEP. With step 0 nothing
 * happens, and it prints the names of all steps of the operation.
 */
import type { Span } from "@opentelemetry/api";
import process from "node:process";
import { AlwaysOnSampler } from "../../lib/sdk/sampler.ts";
import type { Recorder } from "../../lib/sdk/recorder.ts";
import { type Sdk, start } from "../../lib/sdk/start.ts";
import { Writer } from "../../lib/writer.ts";
import { killSelf, watch } from "../support/stores.ts";

const [path, operation, step] = process.argv.slice(2);
const RING = { slots: 16, slotBytes: 256 };
const WARM = { attributes: { known: 1 } };

/** What was recorded before the operation. */
interface Before {
  readonly sdk: Sdk;
  readonly span: Span;
  readonly recorder: Recorder;
}

function startSdk(overflow?: "oldest"): Sdk {
  const sdk = start({
    env: {},
    overflow,
    file: path,
    resource: { "service.name": "killed" },
    sampler: new AlwaysOnSampler(),
    sizes: { spans: RING, events: RING, measurements: RING, dictionaryBytes: 16_384 },
    metrics: { intervalMs: 1 << 30 },
  });
  if (!sdk.recording) throw new Error(sdk.reason);
  return sdk;
}

/** 3 records in the spans ring, one in each other. */
function prepare(overflow?: "oldest"): Before {
  const sdk = startSdk(overflow);
  const tracer = sdk.tracerProvider!.getTracer("app");
  tracer.startSpan("warm", WARM).end();
  const span = tracer.startSpan("warm", WARM);
  sdk.loggerProvider!.getLogger("app").emit({ body: "warm", ...WARM });
  sdk.meterProvider!.getMeter("app").createCounter("calls").add(1, WARM.attributes);
  const { settings } = sdk.tracerProvider as unknown as { settings: { recorder: Recorder } };
  return { sdk, span, recorder: settings.recorder };
}

const linked = {
  context: { traceId: "0".repeat(31) + "1", spanId: "0".repeat(15) + "1", traceFlags: 1 },
};

/** What is recorded; a function that prepares it first gives one that does it. */
const OPERATIONS: Record<string, () => () => void | Promise<void>> = {
  "first file": () => () => void startSdk(),
  scope: () => {
    const { sdk } = prepare();
    return () => void sdk.tracerProvider!.getTracer("other", "1.0");
  },
  "metric definition": () => {
    const { sdk } = prepare();
    const meter = sdk.meterProvider!.getMeter("app");
    return () => meter.createCounter("other").add(1);
  },
  "span start": () => {
    const { sdk } = prepare();
    const tracer = sdk.tracerProvider!.getTracer("app");
    return () => void tracer.startSpan("warm", WARM);
  },
  attribute: () => {
    const { span } = prepare();
    return () => void span.setAttribute("known", 2);
  },
  "attribute of a new key": () => {
    const { span } = prepare();
    return () => void span.setAttribute("new", 2);
  },
  "attributes in two records": () => {
    const { span } = prepare();
    span.setAttributes({ a: "", b: "" });
    return () => void span.setAttributes({ a: "a".repeat(150), b: "b".repeat(150) });
  },
  event: () => {
    const { span } = prepare();
    span.addEvent("warm");
    return () => void span.addEvent("warm");
  },
  link: () => {
    const { span } = prepare();
    return () => void span.addLink(linked);
  },
  rename: () => {
    const { span } = prepare();
    return () => void span.updateName("renamed");
  },
  end: () => {
    const { span } = prepare();
    return () => span.end();
  },
  log: () => {
    const { sdk } = prepare();
    const logger = sdk.loggerProvider!.getLogger("app");
    return () => logger.emit({ body: "again", severityNumber: 9, ...WARM });
  },
  "cut log": () => {
    const { sdk } = prepare();
    const logger = sdk.loggerProvider!.getLogger("app");
    return () => logger.emit({ body: "long ".repeat(100) });
  },
  measurement: () => {
    const { sdk } = prepare();
    const counter = sdk.meterProvider!.getMeter("app").createCounter("calls");
    counter.add(1, WARM.attributes);
    return () => counter.add(2, WARM.attributes);
  },
  "refused log": () => {
    const { sdk } = prepare();
    const logger = sdk.loggerProvider!.getLogger("app");
    for (let i = 1; i < RING.slots - 1; i++) logger.emit({ body: "fill" });
    return () => logger.emit({ body: "refused" });
  },
  "log that discards": () => {
    const { sdk } = prepare("oldest");
    const logger = sdk.loggerProvider!.getLogger("app");
    for (let i = 1; i < RING.slots - 1; i++) logger.emit({ body: "fill" });
    return () => logger.emit({ body: "last" });
  },
  "attribute that discards": () => {
    const { span } = prepare("oldest");
    for (let i = 3; i < RING.slots - 1; i++) span.setAttribute("known", i);
    return () => void span.setAttribute("known", 2);
  },
  "measurement that discards": () => {
    const { sdk } = prepare("oldest");
    const counter = sdk.meterProvider!.getMeter("app").createCounter("calls");
    for (let i = 1; i < RING.slots - 1; i++) counter.add(1, WARM.attributes);
    return () => counter.add(2, WARM.attributes);
  },
  "new generation": () => {
    const { span, recorder } = prepare();
    recorder.file!.spans.sequenceLimit = recorder.file!.spans.claimed + 1;
    return () => void span.setAttribute("known", 2);
  },
  shutdown: () => {
    const { sdk } = prepare();
    return () => sdk.shutdown();
  },
  "span start, many producers": () => {
    const scope = manyProducers();
    return () => void scope.startSpan("warm", WARM);
  },
  "event, many producers": () => {
    const span = manyProducers().startSpan("warm", WARM);
    span.addEvent("warm");
    return () => void span.addEvent("warm");
  },
  "link, many producers": () => {
    const span = manyProducers().startSpan("warm", WARM);
    return () => void span.addLink(linked.context);
  },
  "rename, many producers": () => {
    const span = manyProducers().startSpan("warm", WARM);
    return () => void span.rename("renamed");
  },
  "end, many producers": () => {
    const span = manyProducers().startSpan("warm", WARM);
    return () => void span.end();
  },
  "attribute of a new key, many producers": () => {
    const scope = manyProducers();
    const span = scope.startSpan("warm", WARM);
    return () => void span.setAttributes({ new: 1 });
  },
};

/** 4 records in the spans ring. */
function manyProducers() {
  const writer = Writer.create(path, { producers: "many", spans: RING, dictionaryBytes: 16_384 });
  const scope = writer.scope({ name: "app" });
  scope.startSpan("warm", WARM).end();
  scope.startSpan("warm", WARM).end();
  return scope;
}

watch(null);
const run = OPERATIONS[operation]();
const names: string[] = [];
const last = Number(step);
watch((name) => {
  if (names.push(name) === last) killSelf();
});
await run();
watch(null);
console.log(JSON.stringify(names));
process.exit(last === 0 ? 0 : 1);
