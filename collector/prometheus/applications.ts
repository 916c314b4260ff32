/**
 * The page of `--prometheus`: the metrics of all processes that live, as of now.
 *
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import { ExportMetricsServiceRequestSchema } from "../../proto/gen/otlp_pb.ts";
import { lives, type Pipeline } from "../pipeline/pipeline.ts";
import type { Log } from "../send/problems.ts";
import type { Route } from "../serve/serve.ts";
import { addResource, chooseFormat, CONTENT_TYPES, createText, formatText } from "./text.ts";
import { DECODING } from "../send/decoding.ts";

/** By path. */
export function applicationPages({ files, requests }: Pipeline, log: Log): Record<string, Route> {
  let said = false;
  return {
    "/metrics": (accept) => {
      const { aggregator } = requests;
      const text = createText(chooseFormat(accept));
      const now = BigInt(Date.now()) * 1_000_000n;
      const low = Number(now & 0xffffffffn) | 0;
      const high = Number(now >> 32n) | 0;
      for (const process of files.processes.values()) {
        if (process.over || !process.files.some(lives)) continue;
        aggregator.snapshot(process.state.index, low, high, (request) => {
          const bytes = request.buffer.subarray(0, request.length);
          const { resourceMetrics } = fromBinary(
            ExportMetricsServiceRequestSchema,
            bytes,
            DECODING,
          );
          for (const each of resourceMetrics) addResource(text, each, process.key);
          aggregator.recycle(request);
        });
      }
      if (text.conflicting > 0 && !said) {
        said = true;
        log("warn", "--prometheus leaves metrics out whose name, or name and labels, others have");
      }
      return { status: 200, type: CONTENT_TYPES[text.format], body: formatText(text) };
    },
  };
}
