/**
 * A stand-in for JSR on this machine: takes what `deno publish` uploads, in which Deno has resolved
 * the specifiers of packages, and serves it for `jsr:` imports. Both by JSR_URL.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

/** A running stand-in. */
export interface Jsr {
  /** For JSR_URL. */
  readonly url: string;
  /** The files that were uploaded, as paths from the package's root, sorted. */
  files(): string[];
  stop(): Promise<void>;
}

/**
 * Starts it for one package.
 *
 * @param folder Empty; the package is unpacked here.
 */
export async function startJsr(name: string, version: string, folder: string): Promise<Jsr> {
  const archive = join(folder, "upload.tgz");
  const unpacked = join(folder, "package");
  const files = (): string[] =>
    readdirSync(unpacked, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(unpacked.length + 1)).sort();
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of request) chunks.push(chunk as Uint8Array);
    const { pathname } = new URL(request.url!, "http://localhost");
    const json = (value: unknown): unknown =>
      response.setHeader("content-type", "application/json").end(JSON.stringify(value));
    if (pathname.startsWith("/api/")) {
      if (request.method === "POST") {
        mkdirSync(unpacked);
        writeFileSync(archive, Buffer.concat(chunks));
        const { status, stderr } = spawnSync("tar", ["-xzf", archive, "-C", unpacked]);
        if (status !== 0) throw new Error(`tar: ${stderr}`);
        return void json({ id: "1", status: "success", error: null });
      }
      if (pathname.includes("/versions/")) response.statusCode = 404;
      return void json({ code: "packageVersionNotFound", message: "not there yet" });
    }
    if (pathname === `/${name}/meta.json`) {
      const [scope, title] = name.slice(1).split("/");
      return void json({ scope, name: title, latest: version, versions: { [version]: {} } });
    }
    const read = (path: string): Uint8Array => readFileSync(join(unpacked, path));
    if (pathname === `/${name}/${version}_meta.json`) {
      const manifest = Object.fromEntries(
        files().map((path) => {
          const content = read(path);
          const checksum = `sha256-${createHash("sha256").update(content).digest("hex")}`;
          return [`/${path}`, { size: content.length, checksum }];
        }),
      );
      const { exports } = JSON.parse(new TextDecoder().decode(read("deno.json")));
      return void json({ manifest, exports });
    }
    const prefix = `/${name}/${version}/`;
    const path = pathname.slice(prefix.length);
    if (!pathname.startsWith(prefix) || !files().includes(path)) {
      return void response.writeHead(404).end();
    }
    const type = path.endsWith(".ts") ? "text/typescript" : "application/json";
    response.setHeader("content-type", type).end(read(path));
  };
  const server = createServer((request, response) => {
    answer(request, response).catch((error) => response.writeHead(500).end(String(error)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    files,
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
