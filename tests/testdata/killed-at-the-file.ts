/** Attaches to a file as a reader and is killed: PATH. */
import process from "node:process";
import { Reader } from "../../lib/reader.ts";
import { killSelf } from "../support/stores.ts";

Reader.open(process.argv[2]!);
killSelf();
