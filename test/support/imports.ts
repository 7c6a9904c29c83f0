import { posix } from "node:path";

/** One import or re-export of a source file. */
export interface Import {
  /** The path from the repository's root for a file of ours, else the bare name: `hono`, `node:fs`. */
  readonly target: string;
  /** True if only types are imported. */
  readonly typeOnly: boolean;
  /** True for a call of `import`, which loads the target when it runs. */
  readonly isDynamic: boolean;
}

const statement =
  /^\s*(?:import|export)\s+(?<type>type\s)?(?:(?<clause>[^;"'()]*?)\sfrom\s+)?["'](?<target>[^"']+)["']/gm;
const dynamic = /\bimport\(\s*["'](?<target>[^"']+)["']/g;

/** Source text without comments, good enough to look for names in it: a `//` inside a string cuts its line short. */
export function withoutComments(source: string): string {
  return source.replaceAll(/\/\*.*?\*\//gs, "").replaceAll(/\/\/.*$/gm, "");
}

function onlyTypes(clause: string): boolean {
  const names = /^\{(.*)\}$/s.exec(clause.trim())?.[1]?.split(",").map((name) => name.trim()).filter(Boolean) ?? [];
  return names.length > 0 && names.every((name) => name.startsWith("type "));
}

/** Every import of the file at `path` (from the repository's root), in order of appearance. */
export function importsOf(path: string, source: string): readonly Import[] {
  const resolve = (target: string) => target.startsWith(".") ? posix.join(posix.dirname(path), target) : target;
  const statements = Array.from(source.matchAll(statement), ({ groups = {} }): Import => ({
    target: resolve(groups["target"] ?? ""),
    typeOnly: groups["type"] !== undefined || onlyTypes(groups["clause"] ?? ""),
    isDynamic: false,
  }));
  const calls = Array.from(source.matchAll(dynamic), ({ groups = {} }): Import => ({
    target: resolve(groups["target"] ?? ""),
    typeOnly: false,
    isDynamic: true,
  }));
  return [...statements, ...calls];
}

/** One cycle of the graph as the files on it, or undefined if there is none. */
export function findCycle(graph: ReadonlyMap<string, readonly string[]>): readonly string[] | undefined {
  const done = new Set<string>();
  const visit = (node: string, path: readonly string[]): readonly string[] | undefined => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node];
    if (done.has(node)) return undefined;
    for (const next of graph.get(node) ?? []) {
      const cycle = visit(next, [...path, node]);
      if (cycle !== undefined) return cycle;
    }
    done.add(node);
    return undefined;
  };
  for (const node of graph.keys()) {
    const cycle = visit(node, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}
