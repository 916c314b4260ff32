/**
 * Memory, locks and clock of the operating system, the same on every runtime. Importing this never
 * throws; `runtime.supported` says whether files can be mapped here.
 *
 * @module
 */
export { busErrors, containBusErrors } from "./bus-errors.ts";
export { clockWords, now } from "./clock.ts";
export { SystemError } from "./errors.ts";
export { onExit } from "./exit.ts";
export { runtime } from "./libc.ts";
export type { Runtime } from "./libc.ts";
export { isLocked, lockFile } from "./lock.ts";
export type { HeldLock, RefusedLock } from "./lock.ts";
export { Mapping } from "./mapping.ts";
export { explainDenied } from "./permissions.ts";
export {
  descriptorLimit,
  fileSizeLimit,
  mappedBy,
  processIsAlive,
  processStartTicks,
  processStartTime,
  userId,
  userTempDirectory,
} from "./process.ts";
export { onRejection } from "./rejections.ts";
export { writeStdout } from "./stdout.ts";
export { threadNumber } from "./thread.ts";
