/**
 * Text from elsewhere. Nothing is ever put into the page as markup.
 *
 * @module
 */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { count } from "../logic/numbers.ts";
import { cut, CUT_IN_DETAIL, CUT_IN_LIST, oneLine, visible } from "../logic/cut.ts";

/** A name on one line, cut when long; the whole of it is in the details. */
export function Name({ text, empty = "(no name)" }: { text: string; empty?: string }): JSX.Element {
  if (text === "") return <span class="name muted">{empty}</span>;
  return <span class="name">{nameText(text)}</span>;
}

/** A name on one line, cut when long. */
export function nameText(text: string): string {
  const { text: head, more } = cut(text, CUT_IN_LIST);
  return more ? `${oneLine(head)}…` : oneLine(head);
}

/** A text as it is, cut when long, with a button for the rest. */
export function Long({ text, label }: { text: string; label: string }): JSX.Element {
  const [all, setAll] = useState(false);
  const { text: head, more } = cut(text, CUT_IN_DETAIL);
  if (text === "") return <span class="muted">(empty)</span>;
  return (
    <span class="long">
      {visible(all ? text : head)}
      {more && (
        <>
          {all ? " " : "… "}
          <button
            type="button"
            class="small"
            onClick={() => setAll(!all)}
          >
            {all ? "show less" : `show all ${count(text.length)} characters`}
            <span class="hidden">of {oneLine(cut(label, 60).text)}</span>
          </button>
        </>
      )}
    </span>
  );
}

/** A service as a dot in its colour and its name. */
export function Service({ name }: { name: string }): JSX.Element {
  return (
    <span class="service">
      <span class={`dot ${serviceColour(name)}`} aria-hidden="true"></span>
      <Name text={name} empty="(no service)" />
    </span>
  );
}

const colours = new Map<string, string>();

/** The class of a service's colour: the same one in every view and on every visit. */
export function serviceColour(name: string): string {
  let known = colours.get(name);
  if (known === undefined) {
    let hash = 2166136261;
    for (let i = 0; i < Math.min(name.length, 200); i++) {
      hash = Math.imul(hash ^ name.charCodeAt(i), 16777619);
    }
    known = `c${((hash ^ (hash >>> 15)) >>> 0) % 10}`;
    colours.set(name, known);
  }
  return known;
}
