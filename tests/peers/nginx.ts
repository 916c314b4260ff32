/**
 * nginx with TLS and client certificates in front of a receiver, for tests that send through it.
 *
 * @module
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { ADDRESS_CERTIFICATE, CERTIFICATE, KEY } from "../../collector/testing/tls-fixture.ts";
import { type Peer, peer } from "./peer.ts";
import { freePort } from "./rotel.ts";

function find(): Peer {
  if (process.env.OTLP_MMAP_NGINX) return peer("OTLP_MMAP_NGINX", "the executable of nginx");
  const { error } = spawnSync("nginx", ["-v"]);
  if (error === undefined) return { path: "nginx" };
  return {
    missing: "OTLP_MMAP_NGINX does not name the executable of nginx, nor is it on the PATH",
  };
}

/** From OTLP_MMAP_NGINX or the PATH, or why there is none, as the reason of a skipped test. */
export const nginx: Peer = find();

/** PEM files: what to trust, and what to show. */
export interface Certificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Writes certificates that sign themselves to a directory; the server's is for 127.0.0.1. */
export function writeCertificates(
  directory: string,
): { server: Certificates; client: Certificates } {
  const write = (name: string, text: string): string => {
    const path = join(directory, name);
    writeFileSync(path, text);
    return path;
  };
  const server = write("server.pem", ADDRESS_CERTIFICATE);
  const client = write("client.pem", CERTIFICATE);
  const key = write("key.pem", KEY);
  return { server: { ca: client, cert: server, key }, client: { ca: server, cert: client, key } };
}

/** A running nginx. */
export interface Nginx {
  /** `https://127.0.0.1:<port>`: OTLP over HTTP, and over gRPC. */
  readonly http: string;
  readonly grpc: string;
  /** The request lines, statuses and lengths that it has logged so far. */
  access(): string[];
  /** Ends it, and starts it again at the same ports. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Ends it and removes its files. */
  close(): Promise<void>;
}

/** How to run it. */
export interface NginxOptions {
  readonly certificates: Certificates;
  /** Base URLs of the receivers behind it, of OTLP over HTTP and over gRPC. */
  readonly http: string;
  readonly grpc: string;
  /** Bytes of a request's body at most. */
  readonly maxBodyBytes?: number;
}

/** Starts it at two free ports; clients must show the certificate that it trusts. */
export async function startNginx(options: NginxOptions): Promise<Nginx> {
  if (nginx.path === undefined) throw new Error(nginx.missing);
  const { path } = nginx;
  const { certificates: { ca, cert, key }, maxBodyBytes = 16 << 20 } = options;
  const directory = mkdtempSync(join(tmpdir(), "otlp-mmap-nginx-"));
  mkdirSync(join(directory, "temp"));
  const [http, grpc] = [await freePort(), await freePort()];
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path temp/${name};`).join(" ");
  writeFileSync(
    join(directory, "nginx.conf"),
    `daemon off; master_process off; pid nginx.pid; error_log stderr warn;
events {}
http {
  log_format short '$request $status $request_length'; access_log access.log short;
  ${temporary}
  client_max_body_size ${maxBodyBytes};
  ssl_certificate ${cert}; ssl_certificate_key ${key};
  ssl_client_certificate ${ca}; ssl_verify_client on;
  server { listen 127.0.0.1:${http} ssl; location / { proxy_pass ${options.http}; } }
  server {
    listen 127.0.0.1:${grpc} ssl http2;
    location / { grpc_pass grpc://${new URL(options.grpc).host}; }
  }
}
`,
  );
  let child: ChildProcess | undefined;
  let output = "";

  async function start(): Promise<void> {
    const started = spawn(path!, ["-p", directory, "-e", "stderr", "-c", "nginx.conf"], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    child = started;
    let ended = false;
    started.stderr.setEncoding("utf8").on("data", (text: string) => output += text);
    started.on("error", (error) => {
      output += String(error);
      ended = true;
    });
    started.on("exit", () => ended = true);
    for (const deadline = Date.now() + 10_000; !await listens(grpc);) {
      if (ended || Date.now() > deadline) throw new Error(`nginx does not start: ${output}`);
      await new Promise((wake) => setTimeout(wake, 20));
    }
  }

  async function stop(): Promise<void> {
    const ending = child;
    child = undefined;
    if (ending === undefined || ending.exitCode !== null) return;
    const exit = new Promise((done) => ending.once("exit", done));
    ending.kill("SIGTERM");
    await exit;
  }

  async function close(): Promise<void> {
    await stop();
    rmSync(directory, { recursive: true });
  }

  try {
    await start();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    http: `https://127.0.0.1:${http}`,
    grpc: `https://127.0.0.1:${grpc}`,
    access: () => readFileSync(join(directory, "access.log"), "utf8").split("\n").filter(Boolean),
    start,
    stop,
    close,
  };
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
