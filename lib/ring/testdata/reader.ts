/** A reader in another thread: drains a ring and says what was wrong, if anything. */
import { Buffer } from "node:buffer";
import { parentPort, workerData } from "node:worker_threads";
import { advance, copyRecord, createCopy, isReady, openRing, release } from "../read.ts";
import type { RingGeometry } from "../../file/geometry.ts";

const { memory, geometry, records } = workerData as {
  memory: SharedArrayBuffer;
  geometry: RingGeometry;
  records: number;
};
const file = {
  u8: new Uint8Array(memory),
  i32: new Int32Array(memory),
  i64: new BigInt64Array(memory),
};
const ring = openRing(file, geometry, false);
const copy = createCopy([geometry]);
parentPort?.postMessage("ready");
let problem = "";
while (ring.taken < records && problem === "") {
  if (!isReady(ring)) continue;
  if (!copyRecord(ring, copy)) problem = `record ${ring.taken} has no length`;
  // Each record: its number, then that many bytes of the number's lowest byte.
  const number = Buffer.from(copy.u8).readUInt32LE(copy.start);
  if (number !== ring.taken) problem = `record ${ring.taken} is number ${number}`;
  const text = copy.u8.subarray(copy.start + 4, copy.end);
  if (text.length !== 8 + number % 40 || !text.every((byte) => byte === (number & 0xff))) {
    problem ||= `record ${ring.taken} is torn`;
  }
  advance(ring);
  release(ring, ring.sequence);
}
parentPort?.postMessage(problem);
