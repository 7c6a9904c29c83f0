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

const NOWHERE: Located = { template: "_other", parameter: "", hasQuery: true };

/** Finds templates by the raw URL, so that a parameter is decoded by the one who knows what it means. */
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

  /** The template `_other` if no route has the path. A parameter may be empty: it is never taken for the path above it. */
  locate(url: string): Located {
    const path = pathOf(url);
    for (const { template, prefix, suffix } of this.#patterns) {
      if (path.length >= prefix.length + suffix.length && path.startsWith(prefix) && path.endsWith(suffix)) {
        const parameter = path.slice(prefix.length, path.length - suffix.length);
        return { template, parameter, hasQuery: !url.endsWith(path) };
      }
    }
    return this.#fixed.get(path) ?? NOWHERE;
  }
}

/** The path of an absolute URL without its query, as it stands there: Bun has resolved dot segments and backslashes in it, Deno has not. */
export function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  if (start < 0) return "/";
  let end = start;
  while (end < url.length && url[end] !== "?") end++;
  return url.slice(start, end);
}
