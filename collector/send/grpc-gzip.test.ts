import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { gunzipSync } from "node:zlib";
import { startHttp2Backend, succeed } from "../testing/http2-backend.ts";
import { startSender, type ToldSender } from "../testing/senders.ts";

/** More than a connection takes at a time. */
const BODY = Buffer.alloc(300_000, "a request ");

interface Seen {
  readonly encoding: unknown;
  /** By the flag of the frame. */
  readonly compressed: boolean;
  readonly message: Buffer;
}

/** A server that says it takes `encodings`, and a sender to it that compresses. */
async function connect(encodings?: string): Promise<{ sender: ToldSender; seen: Seen[] }> {
  const seen: Seen[] = [];
  const url = await startHttp2Backend((stream, frame, headers) => {
    assert.equal(frame.readUInt32BE(1), frame.length - 5);
    seen.push({
      encoding: headers["grpc-encoding"],
      compressed: frame[0] === 1,
      message: frame.subarray(5),
    });
    succeed(stream, encodings === undefined ? {} : { "grpc-accept-encoding": encodings });
  });
  return { sender: startSender(url, { protocol: "grpc", compression: "gzip" }), seen };
}

describe("gzip over gRPC", () => {
  for (const encodings of [undefined, "identity,deflate,gzip", "gzip"]) {
    it(`is sent to a server that says it takes ${encodings ?? "nothing about that"}`, async () => {
      const { sender, seen } = await connect(encodings);
      const counts = [1, 2, 3];
      // The first before the server has said anything.
      await sender.send(BODY, 4);
      const outcomes = await Promise.all(counts.map((count) => sender.send(BODY, count)));
      assert.deepEqual(outcomes.map(({ accepted }) => accepted), counts);
      assert.deepEqual(sender.lines, []);
      assert.equal(seen.length, 4);
      for (const { encoding, compressed, message } of seen) {
        assert.deepEqual([encoding, compressed], ["gzip", true]);
        assert.ok(message.length < BODY.length / 10, String(message.length));
        assert.deepEqual(gunzipSync(message), BODY);
      }
    });
  }

  it("is not sent again to a server that does without", async () => {
    const { sender, seen } = await connect("identity, deflate");
    for (const count of [1, 2]) assert.equal((await sender.send(BODY, count)).accepted, count);
    const [first, second] = seen;
    assert.deepEqual([first.encoding, first.compressed], ["gzip", true]);
    assert.deepEqual(second, { encoding: undefined, compressed: false, message: BODY });
  });

  it("leaves a request without anything in it as it is", async () => {
    const { sender, seen } = await connect();
    assert.equal((await sender.send(new Uint8Array(0), 0)).dropped, 0);
    const [{ encoding, compressed, message }] = seen;
    assert.deepEqual([encoding, compressed, message.length], [undefined, false, 0]);
  });
});
