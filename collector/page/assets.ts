/**
 * The files of the app, which were made of app/ and are in the program.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { ASSETS } from "./gen/assets.ts";
import type { Assets } from "./server.ts";

/** The files of the app. */
export function loadAssets(): Assets {
  return Object.fromEntries(
    Object.entries(ASSETS).map(([path, { type, body }]) => [
      path,
      { type, body: Buffer.from(body, "base64"), gzip: true },
    ]),
  );
}
