/**
 * Preloaded under Bun: makes `node:fs` the one that notes what is done.
 *
 * @module
 */
import { mock } from "bun:test";
import * as calls from "./calls.ts";

const all = { ...calls };
mock.module("node:fs", () => ({ ...all, default: all }));
