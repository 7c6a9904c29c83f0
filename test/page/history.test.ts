import { expect, test } from "bun:test";
import { History } from "../../page/history.js";

const shown = (history: History) => {
  const { times, lines } = history.lines;
  return [[...times], Object.fromEntries(lines)];
};

test("History fills up with null when a label comes later or has no value", () => {
  const history = new History({ keepSeconds: 100, gapSeconds: 6 });
  history.add(1, new Map([["a", 1]]));
  history.add(3, new Map([["a", undefined], ["b", 2]]));
  history.add(5, new Map([["b", 3]]));
  expect(shown(history)).toEqual([[1, 3, 5], { a: [1, null, null], b: [null, 2, 3] }]);
});

test("History forgets points when they are too old", () => {
  const history = new History({ keepSeconds: 4, gapSeconds: 6 });
  for (const time of [1, 3, 5, 7]) history.add(time, new Map([["a", time]]));
  expect(shown(history)).toEqual([[3, 5, 7], { a: [3, 5, 7] }]);
});

test("History breaks its lines when there was a pause", () => {
  const history = new History({ keepSeconds: 100, gapSeconds: 6 });
  history.add(1, new Map([["a", 1]]));
  history.add(60, new Map([["a", 2]]));
  expect(shown(history)).toEqual([[1, 4, 60], { a: [1, null, 2] }]);
});
