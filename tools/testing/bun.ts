/**
 * Preloaded under Bun by tools/test.ts: makes `node:test` the recorded one.
 *
 * @module
 */
import { mock } from "bun:test";
import * as real from "node:test";
import { recorded } from "./record.ts";

const api = recorded(real);
mock.module("node:test", () => ({ ...api, default: api.test }));
