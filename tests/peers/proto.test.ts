import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { file_otlp } from "../../proto/gen/otlp_pb.ts";
import { python, runPython } from "./python.ts";

/** Every message of OTLP: its fields by name, each with number, type and label of its descriptor. */
const PROGRAM = `
import json
from google.protobuf.descriptor_pb2 import DescriptorProto
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.trace.v1 import trace_pb2
messages = {}
def visit(message, prefix):
    name = prefix + message.name
    messages[name] = {f.name: [f.number, f.type, f.label] for f in message.field}
    for nested in message.nested_type:
        visit(nested, name + ".")
for module in [common_pb2, resource_pb2, trace_pb2, logs_pb2, metrics_pb2,
               trace_service_pb2, logs_service_pb2, metrics_service_pb2]:
    for message in module.DESCRIPTOR.message_types_by_name.values():
        proto = DescriptorProto()
        message.CopyToProto(proto)
        visit(proto, "")
print(json.dumps(messages))
`;

describe("proto/otlp.proto", { skip: python.missing ?? false }, () => {
  it("has the numbers, names and types of opentelemetry-proto", () => {
    const theirs = runPython(PROGRAM) as Record<string, Record<string, number[]>>;
    let compared = 0;
    for (const message of file_otlp.messages.flatMap((top) => [top, ...top.nestedMessages])) {
      const name = message.typeName.slice("otlp.v1.".length);
      // The two that are not OTLP's but google.rpc's.
      if (name === "RpcStatus" || name === "RetryInfo") continue;
      const reference = theirs[name];
      assert.ok(reference, `no ${name} there`);
      for (const { name: field, proto } of message.fields) {
        const ours = [proto.number, proto.type, proto.label];
        assert.deepEqual(ours, reference[field], `${name}.${field}`);
        compared++;
      }
    }
    assert.ok(compared > 150, `${compared} fields compared`);
  });
});
