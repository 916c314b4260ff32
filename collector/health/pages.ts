/**
 * The pages of `--health`.
 *
 * @module
 */
import { addOwn, chooseFormat, CONTENT_TYPES, createText, formatText } from "../prometheus/text.ts";
import type { Route } from "../serve/serve.ts";
import { checkAlive, checkReady } from "./checks.ts";
import { type Figure, type Identity, readFigures } from "./figure.ts";
import type { Watched } from "./figures.ts";

/** By path. */
export function healthPages(
  watched: Watched,
  figures: readonly Figure[],
  identity: Identity,
): Record<string, Route> {
  return {
    "/healthz": () => checkAlive(watched),
    "/readyz": () => checkReady(watched),
    "/metrics": (accept) => {
      const text = createText(chooseFormat(accept));
      addOwn(text, readFigures(figures, identity));
      return { status: 200, type: CONTENT_TYPES[text.format], body: formatText(text) };
    },
  };
}
