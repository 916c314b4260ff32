/**
 * A proxy of TCP connections that cuts, resets, delays and stalls them at random: what a gRPC client
 * meets whose network is bad.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { createDeck } from "./deck.ts";
import type { Random } from "./random.ts";

/** What can happen to a connection, other than that it lasts. */
export const CUTS = [
  "reset at once",
  "closed at once",
  "reset while sending",
  "closed while sending",
  "reset while answering",
  "closed while answering",
  "stalls while sending",
  "stalls while answering",
  "slow",
] as const;
type Fate = typeof CUTS[number] | "lasts";

/** A proxy under way. */
export interface CuttingProxy {
  readonly port: number;
  /** How often what happened. */
  readonly fates: Map<Fate, number>;
  /** A connection to the backend, from its port at this end: the system gives a port again later. */
  connectionFrom(port: number): object | undefined;
  /** From now on connections last, once each of {@linkcode CUTS} has been seen. */
  calm(): void;
  stop(): Promise<void>;
}

/** Connections that last, for each that does not. */
const LASTING = 0.3;
/** A connection that does not last passes so many bytes in that direction at most. */
const MAX_BYTES = { sending: 20_000, answering: 600 };
const SLOW_MS = 20;
const LONGEST_MS = 1500;

/** Starts it in front of a port of this machine. */
export async function startCuttingProxy(port: number, random: Random): Promise<CuttingProxy> {
  const cards: Fate[] = [...CUTS];
  for (let i = 0; i < CUTS.length * LASTING; i++) cards.push("lasts");
  const draw = createDeck(cards, random);
  const fates = new Map<Fate, number>();
  const sockets = new Set<Socket>();
  const connections = new Map<number, object>();
  let isCalm = false;

  function keep(socket: Socket): void {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  }

  /** Passes on what comes, until so many bytes have; then does what is to happen. */
  function pass(from: Socket, to: Socket, pauseMs: number, limit: number, then: () => void): void {
    let left = limit;
    let order = Promise.resolve();
    from.on("data", (piece: Buffer) => {
      if (left <= 0) return;
      const bytes = piece.subarray(0, left);
      left -= bytes.length;
      const ends = left <= 0;
      order = order.then(async () => {
        if (pauseMs > 0) await sleep(pauseMs);
        if (to.writable) to.write(bytes);
        if (ends) then();
      });
    });
    from.on("close", () => to.destroy());
  }

  const server = createServer((client) => {
    keep(client);
    const fate = isCalm && CUTS.every((cut) => fates.has(cut)) ? "lasts" : draw();
    fates.set(fate, (fates.get(fate) ?? 0) + 1);
    if (fate === "reset at once") client.resetAndDestroy();
    if (fate === "closed at once") client.end();
    if (fate.endsWith("at once")) return;
    const backend = connect(port, "127.0.0.1");
    keep(backend);
    backend.on("connect", () => connections.set(backend.localPort!, backend));
    const limit = (direction: keyof typeof MAX_BYTES): number =>
      fate.endsWith(direction) ? 1 + random.below(MAX_BYTES[direction]) : Infinity;
    const end = (): void => {
      if (fate.startsWith("stalls")) return;
      if (fate.startsWith("reset")) client.resetAndDestroy();
      else client.end();
      backend.destroy();
    };
    const pause = fate === "slow" ? SLOW_MS : 0;
    pass(client, backend, pause, limit("sending"), end);
    pass(backend, client, pause, limit("answering"), end);
    // None lasts for long, so that many things happen.
    const timer = setTimeout(() => {
      if (isCalm && fate === "lasts") return;
      client.destroy();
      backend.destroy();
    }, fate.startsWith("stalls") ? 2 ** 30 : random.below(LONGEST_MS));
    client.on("close", () => clearTimeout(timer));
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return {
    port: (server.address() as AddressInfo).port,
    fates,
    connectionFrom: (port) => connections.get(port),
    calm: () => isCalm = true,
    stop: () =>
      new Promise((closed) => {
        server.close(() => closed());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
