/**
 * The part of `bun:test` that our tests use, for Deno: node:test below, the npm package `expect` for the assertions.
 * Groups are flattened to "group > test", so that both runtimes count the same tests.
 */
import { test as nodeTest } from "node:test";

export { expect } from "expect";

type Body = () => unknown;
type Timeout = number | { readonly timeout: number };

interface Group {
  readonly name: string;
  readonly parent: Group | undefined;
  readonly before: Body[];
  readonly after: Body[];
  readonly beforeEach: Body[];
  readonly afterEach: Body[];
  /** Set by the first test of the group: `beforeAll` runs once. */
  started: Promise<void> | undefined;
  /** Tests registered and not yet finished: `afterAll` runs after the last. */
  remaining: number;
}

const defaultTimeoutMs = 120_000;

function newGroup(name: string, parent: Group | undefined): Group {
  return {
    name,
    parent,
    before: [],
    after: [],
    beforeEach: [],
    afterEach: [],
    started: undefined,
    remaining: 0,
  };
}

let current = newGroup("", undefined);

async function runAll(bodies: readonly Body[]): Promise<void> {
  for (const body of bodies) await body();
}

/** The group and its parents, outermost first. */
function lineage(group: Group): readonly Group[] {
  return group.parent === undefined ? [group] : [...lineage(group.parent), group];
}

async function runTest(groups: readonly Group[], body: Body): Promise<void> {
  const innermostFirst = groups.toReversed();
  try {
    for (const group of groups) await (group.started ??= runAll(group.before));
    try {
      for (const group of groups) await runAll(group.beforeEach);
      await body();
    } finally {
      for (const group of innermostFirst) await runAll(group.afterEach);
    }
  } finally {
    for (const group of innermostFirst) {
      group.remaining -= 1;
      if (group.remaining === 0) await runAll(group.after);
    }
  }
}

/** Registers a test; `timeout` in milliseconds. */
export function test(name: string, body: Body, timeout: Timeout = defaultTimeoutMs): void {
  const groups = lineage(current);
  for (const group of groups) group.remaining += 1;
  const path = [...groups.slice(1).map((group) => group.name), name].join(" > ");
  const timeoutMs = typeof timeout === "number" ? timeout : timeout.timeout;
  // node:test returns a promise that settles with the test; the runner reports failures, not we.
  void nodeTest(path, { timeout: timeoutMs }, () => runTest(groups, body));
}

/** The same as `test`. */
export const it = test;

/** Groups tests and their hooks. */
export function describe(name: string, define: () => void): void {
  const outer = current;
  current = newGroup(name, outer);
  define();
  current = outer;
}

/** Loads a test file beside others; its name begins those of its tests. One that does not load is a failed test. */
export async function loadFile(file: string, load: () => Promise<unknown>): Promise<void> {
  const outer = current;
  current = newGroup(file, outer);
  try {
    await load();
  } catch (error) {
    test("loads", () => {
      throw error;
    });
  }
  current = outer;
}

/** Runs before the first test of the group, or of the file. */
export function beforeAll(body: Body): void {
  current.before.push(body);
}

/** Runs after the last test of the group, or of the file. */
export function afterAll(body: Body): void {
  current.after.push(body);
}

/** Runs before each test of the group, or of the file. */
export function beforeEach(body: Body): void {
  current.beforeEach.push(body);
}

/** Runs after each test of the group, or of the file. */
export function afterEach(body: Body): void {
  current.afterEach.push(body);
}
