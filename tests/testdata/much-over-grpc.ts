/**
 * Sends a gigabyte over gRPC beside a large view, and prints the most resident memory, MB: URL. Without a URL it
 * takes everything and prints where it listens.
 */
import { Buffer } from "node:buffer";
import process from "node:process";
import { createGrpcTransport } from "../../collector/send/grpc.ts";
import { startGrpcBackend } from "../../collector/testing/grpc-backend.ts";

const REQUESTS = 1000;
const [url] = process.argv.slice(2);
if (url === undefined) {
  const backend = await startGrpcBackend((reply) => {
    backend.calls.length = backend.peers.length = backend.requests.traces.length = 0;
    reply(null, Buffer.alloc(0));
  });
  console.log(backend.url);
} else {
  // As collectors have that map files: the runtime takes it for memory that a collection could free.
  const view = new ArrayBuffer(1 << 30);
  const transport = createGrpcTransport({ signal: "traces", url, log: () => {} });
  const body = new Uint8Array(1_000_000);
  let most = 0;
  for (let i = 0; i < REQUESTS; i += 2) {
    const attempts = [transport.attempt(body, 1), transport.attempt(body, 1)];
    for (const { kind } of await Promise.all(attempts.map(({ answer }) => answer))) {
      if (kind !== "taken") throw new Error(kind);
    }
    most = Math.max(most, process.memoryUsage().rss);
  }
  transport.close();
  console.log(Math.round(most / 1e6), "MB beside", view.byteLength);
}
