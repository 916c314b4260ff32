/**
 * Another process: reads one JSON command a line from its input, answers with one JSON line each, and
 * ends with its input.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { lockFile, Mapping, SystemError } from "../mod.ts";

/** What a command may carry. */
export interface Command {
  op: "create" | "open" | "lock" | "load" | "store" | "add" | "grow" | "refresh" | "lockFile";
  path?: string;
  bytes?: number;
  reserve?: number;
  index?: number;
  value?: number;
  times?: number;
}

let mapping: Mapping | undefined;

function run(command: Command): unknown {
  const { path = "", bytes = 0, reserve = 0, index = 0, value = 0, times = 0 } = command;
  if (command.op === "create") return void Mapping.create(path, { bytes }).discard();
  if (command.op === "lockFile") {
    const lock = lockFile(path);
    return "heldBy" in lock ? lock.heldBy : "held";
  }
  if (command.op === "open") {
    mapping = Mapping.open(path, { reserve });
    return mapping.size;
  }
  if (mapping === undefined) throw new Error("open comes first");
  switch (command.op) {
    case "lock":
      return mapping.lock();
    case "load":
      return Atomics.load(mapping.i32, index);
    case "store":
      return Atomics.store(mapping.i32, index, value);
    case "add":
      for (let i = 0; i < times; i++) Atomics.add(mapping.i32, index, 1);
      return Atomics.load(mapping.i32, index);
    case "grow":
      mapping.grow(bytes);
      return mapping.size;
    case "refresh":
      return mapping.refresh();
  }
}

console.log(JSON.stringify({ result: "ready" }));
for await (const line of createInterface({ input: process.stdin })) {
  try {
    console.log(JSON.stringify({ result: run(JSON.parse(line) as Command) ?? null }));
  } catch (error) {
    console.log(
      JSON.stringify({ error: error instanceof SystemError ? error.code : String(error) }),
    );
  }
}
