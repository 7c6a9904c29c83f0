import { expect, test } from "bun:test";
import { globSync, readFileSync } from "node:fs";
import { basename, extname } from "node:path";
import * as v from "valibot";
import { findCycle, type Import, importsOf, withoutComments } from "./support/imports.ts";

/**
 * What a folder may import besides itself: folders or files of src, package names (a trailing * stands for any rest).
 */
interface Layer {
  readonly may: readonly string[];
  readonly mayTypes?: readonly string[];
}

/**
 * Who may know whom; ARCHITECTURE.md tells why. node:* is open to all but core and the browser. main.ts and src/compose
 * put everything together and are not held to it.
 */
const layers: Readonly<Record<string, Layer>> = {
  "src/core": { may: [] },
  "src/events": { may: ["src/core"] },
  "src/l1": { may: ["src/core"], mayTypes: ["src/events"] },
  "src/l2": {
    may: ["src/core", "@aws-sdk/credential-provider-node", "@redis/client", "aws4fetch"],
    mayTypes: ["src/events"],
  },
  "src/storage": { may: ["src/core", "src/l1", "src/l2/adapter.ts"], mayTypes: ["src/events"] },
  "src/subscribers": {
    may: ["src/core", "src/events", "@opentelemetry/api"],
    mayTypes: ["src/telemetry", "src/l1", "src/storage"],
  },
  "src/telemetry": { may: ["src/core", "@opentelemetry/*"] },
  "src/runtime": { may: ["src/core"] },
  "src/access": { may: ["src/core", "jose", "valibot"] },
  "src/config": { may: ["src/core", "leven", "valibot"] },
  "page": { may: ["uplot"] },
  "routes": {
    may: [
      "src/access",
      "src/core",
      "src/storage",
      "src/events",
      "hono",
      "hono/*",
      "hono-openapi",
      "saxes",
      "structured-headers",
      "valibot",
    ],
  },
};

/** The browser runs the page. */
const withoutNode: readonly string[] = ["src/core", "page"];

const isComposer = (path: string) => path === "src/main.ts" || path.startsWith("src/compose/");

function layerOf(path: string): string {
  // src/config.ts is the front door of src/config/.
  const [top = "", folder = ""] = path.split("/");
  return top === "src" ? `src/${basename(folder, ".ts")}` : top;
}

function matches(target: string, allowed: string): boolean {
  if (allowed.endsWith("*")) return target.startsWith(allowed.slice(0, -1));
  return target === allowed || (allowed.startsWith("src/") && target.startsWith(`${allowed}/`));
}

function isAllowed(path: string, { target, typeOnly }: Omit<Import, "isDynamic">): boolean {
  const name = layerOf(path);
  const layer = layers[name];
  if (layer === undefined) return false;
  // Web APIs have no timer that lets the process end.
  if (path === "src/core/clock.ts" && target === "node:timers") return true;
  if (target.startsWith("node:")) return !withoutNode.includes(name);
  if (/^(?:src|routes|page)\//.test(target) && layerOf(target) === name) return true;
  const allowed = typeOnly ? [...layer.may, ...(layer.mayTypes ?? [])] : layer.may;
  return allowed.some((entry) => matches(target, entry));
}

const files = globSync(["{src,routes}/**/*.ts", "page/**/*.js"]).toSorted();
const sources = new Map(files.map((path) => [path, readFileSync(path, "utf8")]));
const graph = new Map(Array.from(sources, ([path, source]) => [path, importsOf(path, source)]));

test("the import table is kept when all sources are read", () => {
  const broken = Array.from(graph).filter(([path]) => !isComposer(path)).flatMap(([path, imports]) =>
    imports.filter((each) => !isAllowed(path, each)).map(({ target }) => `${path} imports ${target}`)
  );
  expect(broken).toEqual([]);
});

test("the import table refuses when an arrow is forbidden", () => {
  const forbidden: readonly (readonly [string, string, boolean])[] = [
    ["src/core/object.ts", "node:fs", false],
    ["src/l1/arena/arena.ts", "src/events/catalogue.ts", false],
    ["src/storage/manager.ts", "src/l2/file/adapter.ts", true],
    ["src/runtime/serve.ts", "src/l1/types.ts", true],
    ["src/telemetry/setup.ts", "src/events/bus.ts", true],
    ["src/l1/arena/arena.ts", "src/l1x/arena.ts", false],
    ["routes/objects/objects.ts", "src/main.ts", false],
    ["src/elsewhere/x.ts", "src/core/object.ts", true],
    ["page/main.js", "node:fs", false],
    ["page/main.js", "routes/app.ts", false],
  ];
  expect(forbidden.filter(([path, target, typeOnly]) => isAllowed(path, { target, typeOnly }))).toEqual([]);
  expect(isAllowed("src/l1/arena/arena.ts", { target: "src/events/catalogue.ts", typeOnly: true })).toBe(true);
  expect(isAllowed("src/telemetry/setup.ts", { target: "@opentelemetry/api", typeOnly: false })).toBe(true);
});

test("the sources have no cycle when every import is followed", () => {
  expect(findCycle(new Map(Array.from(graph, ([path, imports]) => [path, imports.map(({ target }) => target)]))))
    .toBeUndefined();
});

test("src/main.ts loads a handful of files and no package before it handles signals", () => {
  const loaded = new Set<string>();
  const load = (path: string): void => {
    if (loaded.has(path)) return;
    loaded.add(path);
    for (const { target, typeOnly, isDynamic } of graph.get(path) ?? []) if (!typeOnly && !isDynamic) load(target);
  };
  load("src/main.ts");
  expect([...loaded].filter((target) => !/^(?:src\/|node:)/.test(target))).toEqual([]);
  expect(loaded.size).toBeLessThan(10);
});

test("findCycle names the files of a cycle when there is one", () => {
  const cyclic = new Map([["a", ["b"]], ["b", ["c", "d"]], ["c", []], ["d", ["b"]]]);
  expect(findCycle(cyclic)).toEqual(["b", "d", "b"]);
});

test("importsOf finds every form of import when a source has them all", () => {
  const source = `import "./a.ts";
import type { B } from "../b.ts";
import { type C, type D } from "./c.ts";
import d, {
  type E,
  f,
} from "d";
export * from "./e.ts";
export type { G } from "./g.ts";
const h = await import("./h.ts");
`;
  expect(importsOf("src/x/y.ts", source).map(({ target, typeOnly }) => [target, typeOnly])).toEqual([
    ["src/x/a.ts", false],
    ["src/b.ts", true],
    ["src/x/c.ts", true],
    ["d", false],
    ["src/x/e.ts", false],
    ["src/x/g.ts", true],
    ["src/x/h.ts", false],
  ]);
});

test("only src/runtime names Bun or Deno when all sources are read", () => {
  const naming = Array.from(sources)
    .filter(([path, source]) => !path.startsWith("src/runtime/") && /\b(?:Bun|Deno)\b/.test(withoutComments(source)));
  expect(naming.map(([path]) => path)).toEqual([]);
});

test("file names are snake_case when sources, tests and scripts are listed", () => {
  const listed = globSync(["{src,routes,page,test,scripts,bench}/**/*.{ts,js}"]);
  expect(listed.length).toBeGreaterThan(0);
  expect(listed.filter((path) => !/^[a-z0-9]+(?:_[a-z0-9]+)*(?:\.test)?$/.test(basename(path, extname(path))))).toEqual(
    [],
  );
});

const packageSchema = v.object({
  dependencies: v.record(v.string(), v.string()),
  devDependencies: v.record(v.string(), v.string()),
});
const lockSchema = v.object({ specifiers: v.record(v.string(), v.string()) });

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, "utf8"));
}

test("versions are exact when package.json is read", () => {
  const { dependencies, devDependencies } = v.parse(packageSchema, readJson("package.json"));
  const versions = Object.entries({ ...dependencies, ...devDependencies });
  expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
});

test("README.md names the pinned Bun when it starts Vitrine through npx", () => {
  const { devDependencies } = v.parse(packageSchema, readJson("package.json"));
  const named = readFileSync("README.md", "utf8").match(/bun@[\d.]+/g) ?? [];
  expect([...new Set(named)]).toEqual([`bun@${devDependencies["bun"]}`]);
});

test("deno.lock holds the dependencies of package.json when both are read", () => {
  const { dependencies } = v.parse(packageSchema, readJson("package.json"));
  const { specifiers } = v.parse(lockSchema, readJson("deno.lock"));
  expect(Object.entries(dependencies).filter(([name, version]) => !(`npm:${name}@${version}` in specifiers))).toEqual(
    [],
  );
});
