/**
 * Components that are rendered again only when a property changed.
 *
 * @module
 */
import { Component, type ComponentChild, createElement, type FunctionComponent } from "preact";

/** The component, left alone while its properties are the same. */
export function memo<P extends object>(render: FunctionComponent<P>): FunctionComponent<P> {
  class Memo extends Component<P> {
    override shouldComponentUpdate(next: P): boolean {
      const before = this.props as Record<string, unknown>;
      const after = next as Record<string, unknown>;
      for (const name in after) if (before[name] !== after[name]) return true;
      return false;
    }
    override render(): ComponentChild {
      return createElement(render, this.props as P);
    }
  }
  return Memo as unknown as FunctionComponent<P>;
}
