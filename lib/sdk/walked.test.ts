import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { logs, metrics, trace } from "@opentelemetry/api";
import { start } from "../../mod.ts";
import { temporaryDirectory } from "../../ffi/testdata/start.ts";
import { Writer } from "../writer.ts";

/** Objects of ours that an application has in its hands, by name. */
type Given = Record<string, object>;

function walk(given: Given): void {
  for (const [name, object] of Object.entries(given)) {
    const text = JSON.stringify(object);
    assert.ok(text.length < 20_000, `${name}: ${text.length} characters of JSON`);
    assert.ok(inspect(object, { depth: Infinity }).length < 200_000, name);
    try {
      structuredClone(object);
    } catch (error) {
      assert.equal((error as Error).name, "DataCloneError", name);
    }
    const same = Object.getOwnPropertyDescriptors(object);
    assert.deepEqual(Object.create(Object.getPrototypeOf(object), same), object);
  }
}

// Who reads all of the mapping touches pages that the file does not have: the process would end.
describe("what an application is given", () => {
  it("can be logged, cloned and compared", async () => {
    const directory = temporaryDirectory();
    const sdk = start({ directory: directory.path, overflow: "oldest" });
    const tracer = trace.getTracer("walked");
    const [first, second] = [tracer.startSpan("first"), tracer.startSpan("second")];
    const meter = metrics.getMeter("walked");
    const counter = meter.createCounter("counter");
    counter.add(1, { a: 1 });
    const logger = logs.getLogger("walked");
    walk({ first, tracer, meter, counter, logger, sdk });
    walk({
      traces: trace.getTracerProvider(),
      metrics: metrics.getMeterProvider(),
      logs: logs.getLoggerProvider(),
    });
    assert.throws(() => assert.deepEqual(first, second), { name: "AssertionError" });
    // As a body and as an attribute, as code that logs what it has at hand does it.
    logger.emit({ body: first as never, attributes: { span: second as never } });
    await sdk.shutdown();
    directory.remove();
  });

  it("can be walked where it is a writer", () => {
    const directory = temporaryDirectory();
    const writer = Writer.create(directory.at("walked.otlp"), {
      resource: { "service.name": "walked" },
    });
    const span = writer.scope({ name: "walked" }).startSpan("span");
    walk({ writer, span });
    writer.close();
    directory.remove();
  });
});
