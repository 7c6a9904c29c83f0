import { expect, test } from "bun:test";
import { longComments, wrapComments } from "../../scripts/wrap_comments.ts";

const words = (count: number): string => Array.from({ length: count }, () => "word").join(" ");
const columns = (source: string): number => Math.max(...source.split("\n").map((line) => line.length));

const comments = {
  "a line comment": `  // ${words(40)}\nconst a = 1;`,
  "a documentation comment of one line": `  /** ${words(40)} */\nconst a = 1;`,
  "a paragraph of a documentation comment": `/**\n * ${words(40)}\n * ${words(3)}\n *\n * ${
    words(2)
  }\n */\nconst a = 1;`,
};

for (const [name, source] of Object.entries(comments)) {
  test(`wrapComments breaks ${name} that goes beyond 120 columns, and keeps its words`, () => {
    expect(longComments(source)).toHaveLength(1);
    const wrapped = wrapComments(source);
    expect(longComments(wrapped)).toEqual([]);
    expect(columns(wrapped)).toBeLessThan(121);
    expect(wrapped.match(/word/g)?.length).toBe(source.match(/word/g)?.length ?? 0);
    expect(wrapped.endsWith("\nconst a = 1;")).toBe(true);
    expect(wrapComments(wrapped)).toBe(wrapped);
  });
}

test("wrapComments starts no list item on the line of another, and leaves code as it is", () => {
  const code = `test("${words(40)}", () => {});`;
  const source = `/**\n * - ${words(30)}\n * - ${words(2)}\n */\n${code}`;
  expect(wrapComments(source)).toBe(
    `/**\n * - ${words(23)}\n *   ${words(7)}\n * - ${words(2)}\n */\n${code}`,
  );
  expect(longComments(code)).toEqual([]);
});

test("longComments finds a comment behind code", () => {
  expect(longComments(`const a = 1; // ${words(40)}`)).toEqual([1]);
});

test("wrapComments leaves a directive of a tool on its line", () => {
  const source = `// oxlint-disable-next-line no-console -- ${words(40)}`;
  expect([longComments(source), wrapComments(source)]).toEqual([[], source]);
});
