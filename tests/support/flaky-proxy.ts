/**
 * A proxy between a collector and an OTLP/HTTP receiver that fails in all the ways that proxies do,
 * and knows what it did. It speaks HTTP over sockets of its own, so that it can stop anywhere.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import type { Signal } from "../../lib/otlp/request.ts";
import { type Attempt, createDeck } from "./deck.ts";
import type { Random } from "./random.ts";

/** The receiver never hears of these, and a sender has to try again. */
const BEFORE = [
  "reset before the body",
  "reset before",
  "close before",
  "429",
  "503",
  "503 with Retry-After",
  "a web page",
] as const;
/** Nor of these, which are final. */
const FINAL = ["redirect", "400 in HTML"] as const;
/** The receiver has taken it, and the sender does not get to know. */
const AFTER = [
  "reset after",
  "close after",
  "half a head",
  "half a body",
  "half a chunk",
  "nonsense",
  "byte by byte, too slowly",
] as const;
/** It gets to know, in an odd way. */
const ODD = ["byte by byte", "wrong type", "plain text"] as const;

/** What can happen to a request, other than that it passes. */
export const MISHAPS = [...BEFORE, ...FINAL, ...AFTER, ...ODD] as const;
type Fate = typeof MISHAPS[number] | "pass";

/** A proxy under way. */
export interface FlakyProxy {
  /** Base URL, without a slash at the end. */
  readonly url: string;
  /** How often what happened. */
  readonly fates: Map<Fate, number>;
  /** What the receiver took, and what was answered with something final instead, in their order. */
  readonly attempts: Attempt[];
  /** From now on nothing is refused for good. */
  refuseNoMore(): void;
  stop(): Promise<void>;
}

type Request = Pick<Attempt, "signal" | "body">;

/** How many requests pass for each one that does not. */
const PASSING = 2;
const PROTOBUF = "application/x-protobuf";
const PAGE = "<html><title>Sign in</title></html>";
/** A byte every so many milliseconds: an answer of a hundred bytes in half a second, or never. */
const SLOW_MS = 5;
const TOO_SLOW_MS = 200;

function answer(status: string, type: string, body: string, ...headers: string[]): Buffer {
  const lines = [
    `HTTP/1.1 ${status}`,
    `Content-Type: ${type}`,
    `Content-Length: ${Buffer.byteLength(body, "latin1")}`,
    ...headers,
  ];
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n${body}`, "latin1");
}

/** An ExportTraceServiceResponse (or of another signal) without an error and with a message. */
const WARNING = "\x0a\x06\x12\x04slow";

const ANSWERS: Partial<Record<Fate, Buffer>> = {
  "429": answer("429 Too Many Requests", "text/plain", "later", "Retry-After: 1"),
  "503": answer("503 Service Unavailable", "text/html", PAGE),
  "503 with Retry-After": answer("503 Busy", PROTOBUF, "", "Retry-After: 1"),
  "a web page": answer("200 OK", "text/html; charset=utf-8", PAGE),
  "redirect": answer("307 Temporary Redirect", "text/plain", "", "Location: /elsewhere"),
  "400 in HTML": answer("400 Bad Request", "text/html", PAGE),
  "half a head": answer("200 OK", PROTOBUF, "").subarray(0, 30),
  "half a body": answer("200 OK", PROTOBUF, WARNING).subarray(0, -4),
  "half a chunk": Buffer.from("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n\x0a\x06"),
  "nonsense": Buffer.from("\x00\x01\x02 I am no web server\r\n\r\n", "latin1"),
  "byte by byte": answer("200 OK", PROTOBUF, WARNING),
  "byte by byte, too slowly": answer("200 OK", PROTOBUF, WARNING),
  "wrong type": answer("200 OK", "image/png", "\x89PNG\r\n\x1a\n"),
  "plain text": answer("200 OK", "text/plain", "OK"),
};

function isOneOf<T extends string>(list: readonly T[], fate: string): fate is T {
  return (list as readonly string[]).includes(fate);
}

/** A request in a buffer: where its body begins and ends; undefined where that is not known yet. */
function frame(buffered: Buffer): { head: string; begin: number; end: number } | undefined {
  const blank = buffered.indexOf("\r\n\r\n");
  if (blank < 0) return undefined;
  const head = buffered.toString("latin1", 0, blank);
  const begin = blank + 4;
  return { head, begin, end: begin + Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0) };
}

function read(head: string, body: Buffer): Request {
  const signal = /^POST \/v1\/(traces|metrics|logs) /.exec(head)?.[1] as Signal | undefined;
  if (signal === undefined) throw new Error(`not an export request: ${head}`);
  const packed = /^content-encoding: gzip/im.test(head);
  return { signal, body: packed ? gunzipSync(body) : Buffer.from(body) };
}

/**
 * Starts it.
 *
 * @param receiver Base URL of an OTLP/HTTP receiver.
 */
export async function startFlakyProxy(receiver: string, random: Random): Promise<FlakyProxy> {
  const cards: Fate[] = [...MISHAPS];
  for (let i = 0; i < MISHAPS.length * PASSING; i++) cards.push("pass");
  const draw = createDeck(cards, random);
  const fates = new Map<Fate, number>();
  const attempts: Attempt[] = [];
  const sockets = new Set<Socket>();
  let refuses = true;

  function fateOfNext(): Fate {
    let fate = draw();
    if (!refuses && isOneOf(FINAL, fate)) fate = "pass";
    fates.set(fate, (fates.get(fate) ?? 0) + 1);
    return fate;
  }

  /** Gives the receiver a request. */
  async function passOn({ signal, body }: Request, fate: Fate): Promise<Attempt> {
    const { status } = await fetch(`${receiver}/v1/${signal}`, {
      method: "POST",
      headers: { "content-type": PROTOBUF },
      body: Buffer.from(body),
    });
    if (status !== 200) throw new Error(`the receiver answered ${status}`);
    const attempt: Attempt = { signal, body, outcome: "taken", fate, answered: false };
    attempts.push(attempt);
    return attempt;
  }

  /** Writes all of it, at once or byte by byte; false when the other side went away before. */
  async function write(socket: Socket, bytes: Buffer, pauseMs = 0): Promise<boolean> {
    const pieces = pauseMs === 0 ? [bytes] : Array.from(bytes, (byte) => Buffer.of(byte));
    for (const piece of pieces) {
      if (socket.destroyed || !socket.writable) return false;
      await new Promise((written) => socket.write(piece, written));
      if (pauseMs > 0) await sleep(pauseMs);
    }
    return !socket.destroyed;
  }

  /** Does it. Returns whether the connection can be used for another request. */
  async function meet(
    fate: Fate,
    socket: Socket,
    request: Request,
  ): Promise<boolean> {
    if (isOneOf(FINAL, fate)) {
      const attempt: Attempt = { ...request, outcome: "refused", fate, answered: false };
      attempts.push(attempt);
      return attempt.answered = await write(socket, ANSWERS[fate]!);
    }
    if (isOneOf(BEFORE, fate)) {
      if (fate === "close before") socket.end();
      else if (fate.startsWith("reset")) socket.resetAndDestroy();
      else return await write(socket, ANSWERS[fate]!);
      return false;
    }
    const attempt = await passOn(request, fate);
    if (isOneOf(AFTER, fate)) {
      if (fate === "reset after") socket.resetAndDestroy();
      else {
        const pause = fate === "byte by byte, too slowly" ? TOO_SLOW_MS : 0;
        const bytes = ANSWERS[fate];
        if (bytes !== undefined) await write(socket, bytes, pause);
        socket.end();
      }
      return false;
    }
    const bytes = ANSWERS[fate] ?? answer("200 OK", PROTOBUF, "");
    attempt.answered = await write(socket, bytes, fate === "byte by byte" ? SLOW_MS : 0);
    return attempt.answered;
  }

  const server = createServer((socket) => {
    sockets.add(socket);
    let buffered = Buffer.alloc(0);
    let fate: Fate | undefined;
    let busy = false;

    async function advance(): Promise<void> {
      if (busy) return;
      busy = true;
      for (let request = frame(buffered); request !== undefined; request = frame(buffered)) {
        fate ??= fateOfNext();
        if (fate === "reset before the body") {
          socket.resetAndDestroy();
          return;
        }
        const { head, begin, end } = request;
        if (buffered.length < end) break;
        const met = fate;
        fate = undefined;
        const attempted = read(head, buffered.subarray(begin, end));
        buffered = buffered.subarray(end);
        if (!await meet(met, socket, attempted)) return;
      }
      busy = false;
    }

    socket.on("data", (piece: Buffer) => {
      buffered = Buffer.concat([buffered, piece]);
      void advance();
    });
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    fates,
    attempts,
    refuseNoMore: () => refuses = false,
    stop: () =>
      new Promise((closed) => {
        server.close(() => closed());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
