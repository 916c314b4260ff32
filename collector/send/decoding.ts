/**
 * How deep requests may be.
 *
 * @module
 */
import { MAX_DEPTH } from "../../lib/otlp/values.ts";

/** An attribute may hold maps in maps, three messages each, to a depth that the default refuses. */
export const DECODING = { recursionLimit: 16 + 3 * MAX_DEPTH };
