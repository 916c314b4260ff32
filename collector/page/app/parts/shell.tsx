/**
 * What is around every view.
 *
 * @module
 */
import type { ComponentChildren, JSX } from "preact";
import { formatAddress, timeQuery } from "../logic/address.ts";
import { useConnected } from "../data/live.ts";
import { setTheme, type Theme, useTheme } from "../data/theme.ts";
import { useAddress } from "../data/use-address.ts";

/** The views, in the order of the list. */
export const VIEWS = [
  ["", "Overview"],
  ["traces", "Traces"],
  ["logs", "Logs"],
  ["metrics", "Metrics"],
  ["crashes", "Crashes"],
] as const;

const THEMES: readonly (readonly [Theme, string])[] = [
  ["system", "System colours"],
  ["light", "Light"],
  ["dark", "Dark"],
];

/** The head with the views, and the view below. */
export function Shell({ children }: { children: ComponentChildren }): JSX.Element {
  const address = useAddress();
  const connected = useConnected();
  const { theme } = useTheme();
  const at = address.path[0] ?? "";
  // A comparison is of traces.
  const current = at === "compare" ? "traces" : at;
  return (
    <>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          // The address after # is the state of the page: it must stay.
          event.preventDefault();
          document.getElementById("main")?.focus();
        }}
      >
        Skip to content
      </a>
      <header class="top">
        <span class="brand">otlp-mmap</span>
        <nav aria-label="Views">
          {VIEWS.map(([path, label]) => (
            <a
              key={path}
              href={formatAddress(path === "" ? [] : [path], timeQuery(address))}
              aria-current={current === path ? "page" : undefined}
            >
              {label}
            </a>
          ))}
        </nav>
        <span class={`connection ${connected ? "on" : "off"}`} role="status">
          {connected ? "live" : "not connected"}
        </span>
        <label>
          <span class="hidden">Colours</span>
          <select
            value={theme}
            onChange={({ currentTarget: { value } }) => setTheme(value as Theme)}
          >
            {THEMES.map(([value, label]) => <option key={value} value={value}>{label}</option>)}
          </select>
        </label>
      </header>
      <main id="main" tabIndex={-1}>{children}</main>
    </>
  );
}
