import { expect, test } from "bun:test";
import { parseTokens } from "../../src/access/tokens.ts";
import { PolledFile } from "../../src/core/polled_file.ts";

const line = (id: string, digit: string) => JSON.stringify({ id, sha256: digit.repeat(64), scopes: ["read"] });

function watched(first: string) {
  const state = { text: first, failing: false, told: [] as string[] };
  const file = new PolledFile({
    name: "tokens from tokens",
    parse: (text) => parseTokens(text, "tokens"),
    read: () => state.failing ? Promise.reject(new Error("no disk")) : Promise.resolve(state.text),
    onChange: (tokens) => state.told.push(tokens.map(({ id }) => id).join()),
    onFailure: (error) => state.told.push(String(error)),
  });
  return { file, state };
}

test("PolledFile.load throws when the file cannot be read or used", async () => {
  const { file, state } = watched("nonsense");
  await expect(file.load()).rejects.toThrow("read tokens from tokens: line 1");
  state.failing = true;
  await expect(file.load()).rejects.toThrow("read tokens from tokens");
});

test("PolledFile.poll reports a new value once, and an unusable file once, until it is usable again", async () => {
  const { file, state } = watched(line("a", "1"));
  await file.load();
  await file.poll();
  expect(state.told).toEqual([]);
  state.text = `${line("a", "1")}\n${line("b", "2")}`;
  await file.poll();
  await file.poll();
  expect(state.told).toEqual(["a,b"]);
  state.text += "\nvit_secret";
  for (let i = 0; i < 3; i++) await file.poll();
  expect(state.told.slice(1)).toEqual(["VitrineError: read tokens from tokens: line 3: not JSON"]);
  state.failing = true;
  for (let i = 0; i < 3; i++) await file.poll();
  expect(state.told.length).toBe(3);
  state.failing = false;
  state.text = `${line("a", "1")}\n${line("b", "2")}`;
  await file.poll();
  expect(state.told.slice(3)).toEqual(["a,b"]);
});
