/**
 * Which thread of the process this isolate runs on.
 *
 * @module
 */
import process from "node:process";
import { libc, runtime } from "./libc.ts";
import { isMac } from "./symbols.ts";

/**
 * 0 on the main thread, else the system's number of the thread, which no other thread of the
 * process has while it lives. 0 where FFI is not supported.
 */
export function threadNumber(): number {
  if (!runtime.supported) return 0;
  if (isMac) {
    return libc.pthread_main_np() === 1 ? 0 : libc.pthread_mach_thread_np(libc.pthread_self());
  }
  // The main thread's number is the process's.
  const thread = libc.gettid();
  return thread === process.pid ? 0 : thread;
}
