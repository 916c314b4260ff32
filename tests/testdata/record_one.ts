/** What the Workers of these tests do. */
import { trace } from "@opentelemetry/api";
import type { Place } from "../../lib/file/place.ts";
import { start } from "../../lib/sdk/start.ts";

/** Starts the SDK on this thread, records a span, and says where it is. */
export function recordOne(place: Place): { path: string } {
  const sdk = start({ env: {}, ...place });
  if (!sdk.recording) throw new Error(sdk.reason);
  trace.getTracer("worker").startSpan("in a Worker").end();
  return { path: sdk.path! };
}
