import { expect, test } from "bun:test";
import { stackLines, timeLabel, timeMarks } from "../../../page/view/plot_options.js";

test("stackLines adds what is below when a line in between has no value", () => {
  expect(stackLines([[1, 2, null], [10, null, 20], [100, 200, 300]])).toEqual([
    [1, 2, null],
    [11, null, 20],
    [111, 202, 320],
  ]);
  expect(stackLines([])).toEqual([]);
});

test("timeMarks are half minutes when little is shown, else full ones", () => {
  expect(timeMarks(60)).toEqual([60, 30, 0]);
  expect(timeMarks(149)).toEqual([120, 90, 60, 30, 0]);
  expect(timeMarks(300)).toEqual([300, 240, 180, 120, 60, 0]);
});

test("timeLabel counts in minutes when it can", () => {
  expect([300, 90, 60, 30, 0].map(timeLabel)).toEqual(["−5 min", "−90 s", "−1 min", "−30 s", "now"]);
});
