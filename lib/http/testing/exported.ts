/**
 * A program with a server for a default export, as Bun starts it.
 *
 * @module
 */
const server: { port: number; hostname: string; fetch: () => Response } = {
  port: 0,
  hostname: "127.0.0.1",
  fetch: () => new Response("exported"),
};

export default server;
