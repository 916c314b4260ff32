/**
 * The files of the app, which were made of app/ and are in the program.
 *
 * @module
 */
import { gzipSync } from "node:zlib";
import { assets } from "./gen/assets.ts";

/** A file of the app. */
export interface Asset {
  readonly type: string;
  readonly body: Uint8Array;
  /** The same, compressed with gzip. */
  readonly gzip: Uint8Array;
}

/** The files of the app by path: `/` is the page itself, names of others have a hash in them. */
export type Assets = ReadonlyMap<string, Asset>;

/** The files of the app. */
export function loadAssets(): Assets {
  return new Map(
    [...assets].map(([path, { text, type }]) => {
      const body = new TextEncoder().encode(text);
      return [path, { type, body, gzip: gzipSync(body) }];
    }),
  );
}
