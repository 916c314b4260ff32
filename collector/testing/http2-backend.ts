/**
 * An HTTP/2 server for tests that see what gRPC is made of: the frame that a request is, and its headers.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import * as http2 from "node:http2";
import { cleanups, listen } from "./servers.ts";

/** Answers a request, all of which has come. */
export type Http2Answer = (
  stream: http2.ServerHttp2Stream,
  frame: Buffer,
  headers: http2.IncomingHttpHeaders,
) => void;

/** Starts one that ends with the tests of the file. Returns its URL. */
export async function startHttp2Backend(answer: Http2Answer): Promise<string> {
  const server = http2.createServer();
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("session", (session) => sessions.add(session));
  server.on("stream", (stream: http2.ServerHttp2Stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on("error", () => {});
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => answer(stream, Buffer.concat(chunks), headers));
  });
  const port = await listen(server);
  cleanups.push(() => {
    for (const session of sessions) session.destroy();
  });
  return `http://127.0.0.1:${port}`;
}

/** Answers as a gRPC server does that took everything. */
export function succeed(
  stream: http2.ServerHttp2Stream,
  headers: http2.OutgoingHttpHeaders = {},
): void {
  stream.respond({ ":status": 200, "content-type": "application/grpc", ...headers }, {
    waitForTrailers: true,
  });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  // A message of no bytes.
  stream.end(Buffer.alloc(5));
}
