/**
 * gzip for gRPC. grpc-js has no option for the level, and at its own, 6, a span costs four times as much
 * as at 1: so messages are compressed before, and grpc-js is only told to say so.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { Client, experimental, Metadata } from "@grpc/grpc-js";

const compress = promisify(gzip);

/** Says of a call that its message is compressed. Goes no further than to the filter that is made here. */
const PACKED = "grpc-internal-encoding-request";

type WriteObject = Awaited<Parameters<experimental.Filter["sendMessage"]>[0]>;

/** Compresses the message of a call, which is noted in its metadata. */
export async function pack(message: Buffer, metadata: Metadata): Promise<Buffer> {
  metadata.set(PACKED, "gzip");
  return await compress(message, { level: 1 });
}

/**
 * Has a client send what was packed as what it is.
 *
 * @param taken Told whether the server takes gzip, when it says so.
 */
export function sendPacked(
  grpc: typeof import("@grpc/grpc-js"),
  client: Client,
  taken: (gzip: boolean) => void,
): void {
  const { BaseFilter, FilterStackFactory } = grpc.experimental;

  class Marking extends BaseFilter {
    private encoding: string | Buffer | undefined;

    override async sendMetadata(sent: Promise<Metadata>): Promise<Metadata> {
      const metadata = await sent;
      [this.encoding] = metadata.get(PACKED);
      metadata.remove(PACKED);
      if (this.encoding !== undefined) metadata.set("grpc-encoding", this.encoding);
      return metadata;
    }

    /** Of a frame the first byte says whether its message is compressed. */
    override async sendMessage(sent: Promise<WriteObject>): Promise<WriteObject> {
      const frame = await sent;
      if (this.encoding !== undefined) frame.message[0] = 1;
      return frame;
    }

    override receiveMetadata(metadata: Metadata): Metadata {
      const [encodings] = metadata.get("grpc-accept-encoding");
      if (encodings !== undefined) taken(/\bgzip\b/.test(`${encodings}`));
      return metadata;
    }
  }

  // What grpc-js takes filters for puts them before the one that makes frames.
  const { internalChannel } = client.getChannel() as unknown as {
    internalChannel: { filterStackFactory: experimental.FilterStackFactory };
  };
  internalChannel.filterStackFactory = new FilterStackFactory([
    internalChannel.filterStackFactory,
    { createFilter: () => new Marking() },
  ]);
}
