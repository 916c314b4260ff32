/**
 * Light or dark: as the system has it, or as chosen here.
 *
 * @module
 */
import { useEffect, useState } from "preact/hooks";

/** A choice of colours. */
export type Theme = "system" | "light" | "dark";

const KEY = "otlp-mmap-theme";

function stored(): Theme {
  try {
    const value = localStorage.getItem(KEY);
    return value === "light" || value === "dark" ? value : "system";
  } catch {
    return "system"; // Storage can be forbidden.
  }
}

const dark = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();
let theme = stored();

function apply(): void {
  document.documentElement.dataset.theme = theme === "system"
    ? dark.matches ? "dark" : "light"
    : theme;
  listeners.forEach((listener) => listener());
}
dark.addEventListener("change", apply);
apply();

/** Chooses. */
export function setTheme(next: Theme): void {
  theme = next;
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // Then the choice holds for this page only.
  }
  apply();
}

/** The choice, and what is shown: canvases are drawn anew when it changes. */
export function useTheme(): { theme: Theme; shown: string } {
  const [, setVersion] = useState(0);
  useEffect(() => {
    const listener = (): void => setVersion((before) => before + 1);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
    };
  }, []);
  return { theme, shown: document.documentElement.dataset.theme ?? "light" };
}

/** The value of a colour of the style sheet. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
