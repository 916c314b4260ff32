/** Imports everything where it cannot work, and tells what then happens. */
import process from "node:process";

const platform = process.argv[2];
if (platform !== undefined) Object.defineProperty(process, "platform", { value: platform });
const ffi = await import("../mod.ts");

function failure(call: () => unknown): string {
  try {
    return `no error: ${call()}`;
  } catch (error) {
    return error instanceof ffi.SystemError ? `${error.code} ${error.message}` : `other: ${error}`;
  }
}

ffi.now();
console.log(JSON.stringify({
  runtime: ffi.runtime,
  seconds: ffi.clockWords[0],
  create: failure(() => ffi.Mapping.create("/a/b", { bytes: 4096 })),
  open: failure(() => ffi.Mapping.open("/a/b")),
  lockFile: failure(() => ffi.lockFile("/a/b")),
  isLocked: failure(() => ffi.isLocked("/a/b")),
  processIsAlive: failure(() => ffi.processIsAlive(1)),
  mappedBy: failure(() => ffi.mappedBy("/a/b")),
  processStartTime: ffi.processStartTime(1),
  userId: ffi.userId(),
}));
