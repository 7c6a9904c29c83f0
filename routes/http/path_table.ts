import { pathOf } from "./target.ts";

/** Where a request goes: its route's template, and what stood for the `{name}` in it, still percent-encoded. */
export interface Located {
  readonly template: string;
  readonly parameter: string;
  /** Whether more than the path came; may be true without, never false with one. */
  readonly hasQuery: boolean;
}

interface Pattern {
  readonly template: string;
  readonly prefix: string;
  readonly suffix: string;
}

/** Where a request goes that no route has. */
export const NOWHERE: Located = { template: "_other", parameter: "", hasQuery: true };

/** Finds templates by the raw target, so that a parameter is decoded by the one who knows what it means. */
export class PathTable {
  readonly #fixed = new Map<string, Located>();
  readonly #patterns: readonly Pattern[];

  constructor(templates: readonly string[]) {
    const patterns: Pattern[] = [];
    for (const template of new Set(templates)) {
      const open = template.indexOf("{");
      if (open < 0) this.#fixed.set(template, { template, parameter: "", hasQuery: true });
      else {
        const suffix = template.slice(template.indexOf("}") + 1);
        patterns.push({ template, prefix: template.slice(0, open), suffix });
      }
    }
    this.#patterns = patterns;
  }

  /**
   * The template `_other` if no route has the path of a request target. A parameter may be empty: it is never taken for
   * the path above it.
   */
  locate(target: string): Located {
    const path = pathOf(target);
    for (const { template, prefix, suffix } of this.#patterns) {
      if (path.length >= prefix.length + suffix.length && path.startsWith(prefix) && path.endsWith(suffix)) {
        const parameter = path.slice(prefix.length, path.length - suffix.length);
        return { template, parameter, hasQuery: target.includes("?") };
      }
    }
    return this.#fixed.get(path) ?? NOWHERE;
  }
}
