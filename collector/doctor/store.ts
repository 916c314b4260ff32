/**
 * Whether the database of `collect` can be used.
 *
 * @module
 */
import { accessSync, constants, existsSync } from "node:fs";
import { dirname } from "node:path";
import { counted } from "../inspect/units.ts";
import { openQueries } from "../store/queries/queries.ts";
import { printable } from "../text/text.ts";
import { bad, type Check, ok } from "./check.ts";

/** Looks at the database, which need not be there yet. Nothing is changed. */
export function checkStore(path: string): Check {
  const name = printable(path, 4096);
  try {
    if (existsSync(path)) {
      const queries = openQueries(path);
      const { bytes, logs, points, spans } = queries.state();
      queries.close();
      const size = `${(bytes / 2 ** 20).toFixed(1)} MiB`;
      return ok(
        "store",
        [
          `${name}: ${size}`,
          counted(spans, "span"),
          counted(logs, "log record"),
          counted(points, "point"),
        ].join(", "),
      );
    }
    let folder = dirname(path);
    while (!existsSync(folder) && folder !== dirname(folder)) folder = dirname(folder);
    accessSync(folder, constants.W_OK | constants.X_OK);
    return ok("store", `${name}: not there yet; it can be made`);
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    const why = code === "EACCES" || code === "EROFS"
      ? `${name} can't be made: this user may not write there; name another file with --store`
      : message;
    return bad("store", why);
  }
}
