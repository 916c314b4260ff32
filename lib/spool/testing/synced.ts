/**
 * Stores two requests with marks, each in a segment of its own, and takes them: `synced.ts FOLDER SYNC`,
 * where that is "record", milliseconds, or "asked": with these requests alone.
 * Then opens a spool with one of them as whoever is killed leaves it. Prints which files were opened, synced
 * and renamed for each step.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { copyFileSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { openSpool } from "../spool.ts";
import { calls } from "./calls.ts";

const [folder, sync] = process.argv.slice(2);
const steps: string[] = [];
const endStep = (): void => void steps.push(calls.splice(0).join("\n"));

const spool = openSpool(`${folder}/new/spool`, {
  sync: sync === "record" ? "record" : Number(sync) || "segment",
  segmentBytes: 50,
});
endStep();
for (const body of ["a", "b"]) {
  spool.put("traces", Buffer.from(body), 1, { mark: Buffer.from(body), sync: sync === "asked" });
  endStep();
}
const [name] = readdirSync(join(spool.folder, "traces")).filter((name) => name.endsWith("tmp"));
const killed = `${folder}/killed`;
mkdirSync(`${killed}/traces`, { recursive: true });
copyFileSync(join(spool.folder, "traces", name), join(killed, "traces", name));
spool.sync();
endStep();
for (let stored = spool.next("traces"); stored !== null; stored = spool.next("traces")) {
  spool.acknowledge(stored.id);
}
spool.close();
endStep();
openSpool(killed, { sync: 1_000_000 }).close();
endStep();
console.log(
  steps.join("\n--\n").replaceAll(`${folder}/`, "").replaceAll(folder, ".")
    .replace(/\d{12}-\w+\.\d+-\w+/g, "N").replace(/\d+-\w+\.new/g, "OWNER.new"),
);
