/** Has a file mapped without a lock, as other writers do, says `ready`, and lives on: FILE. */
import process from "node:process";
import { Mapping } from "../../ffi/mod.ts";

const mapping = Mapping.open(process.argv[2]);
console.log("ready");
setInterval(() => mapping.refresh(), 1000);
