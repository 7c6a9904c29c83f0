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

  /** The template `_other` if no route has the path. An empty parameter is the path without its slash. */
  locate(url: string): Located {
    const path = pathOf(url);
    for (const { template, prefix, suffix } of this.#patterns) {
      if (path.length > prefix.length + suffix.length && path.startsWith(prefix) && path.endsWith(suffix)) {
        const parameter = path.slice(prefix.length, path.length - suffix.length);
        return { template, parameter, hasQuery: !url.endsWith(path) };
      }
    }
    return this.#fixed.get(path) ?? this.#withoutSlash(path) ?? NOWHERE;
  }

  #withoutSlash(path: string): Located | undefined {
    const shorter = path.slice(0, -1);
    return path.endsWith("/") && this.#patterns.some(({ prefix }) => prefix === path)
      ? this.#fixed.get(shorter)
      : undefined;
  }
}

/** The path of an absolute URL without its query, its dot segments resolved as the WHATWG URL standard does (Bun has done it already, Deno has not). */
export function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  if (start < 0) return "/";
  let end = start;
  while (end < url.length && url[end] !== "?" && url[end] !== "#") end++;
  const path = url.slice(start, end);
  return /\/\.|%2e|\\/i.test(path) ? new URL(url).pathname : path;
}
