/**
 * The end of an application that does not call `shutdown()`.
 *
 * @module
 */
import { onExit, onRejection, threadNumber } from "../../ffi/mod.ts";
import type { Recorder } from "./recorder.ts";

/**
 * Takes the last observations when the isolate ends by itself, and marks its file as complete when
 * its exit code is 0 (PROTOCOL.md, `state`). How it ends stays the same. Returns the undo.
 */
export function endInOrder(observe: () => void, recorder: Recorder): () => void {
  let isBroken = false;
  // Bun says 0 after a rejection that nobody handles, and ends with 1.
  const undoRejections = onRejection((_reason, isFatal) => {
    isBroken ||= isFatal;
  });
  const undoExit = onExit((code) => {
    observe();
    if (code !== 0 || isBroken) return;
    // The end of the process unmaps what it has mapped; that of a Worker does not.
    if (threadNumber() === 0) recorder.finish();
    else recorder.close();
  });
  return () => {
    undoRejections();
    undoExit();
  };
}
