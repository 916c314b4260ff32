/** A Worker of the web's kind. */
import type { Place } from "../../lib/file/place.ts";

/** Types of both runtimes have no word for the inside of a Worker. */
const scope = globalThis as unknown as {
  onmessage: (event: { data: Place }) => Promise<void>;
  postMessage(message: unknown): void;
};

scope.onmessage = async (event): Promise<void> => {
  // Not imported above: Bun loses messages that come while the modules of a Worker await something.
  const { recordOne } = await import("./record_one.ts");
  scope.postMessage(recordOne(event.data));
};
