import { expect, test } from "bun:test";
import { CopyingSender } from "../../src/runtime/sender.ts";
import { contractFor } from "./contract.ts";
import { memoryApp } from "./memory_app.ts";

const made = memoryApp(new CopyingSender({ copyLimitBytes: 64 * 1024, idleTimeoutSeconds: 0 }));
const { app, storage, errors } = made;
const fetchInProcess = async (path: string, init?: RequestInit) =>
  app.fetch(new Request(`http://vitrine${path}`, init), {});

for (const { name, run } of contractFor(made.fixture({ overSockets: false, fetch: fetchInProcess }))) {
  test(`in process: ${name}`, run);
}

test("app.fetch answers without a promise when L1 has the object", async () => {
  await fetchInProcess("/v1/objects/hot", { method: "PUT", body: "x" });
  expect(app.fetch(new Request("http://vitrine/v1/objects/hot"), {})).toBeInstanceOf(Response);
});

test("app.fetch answers 400 when the body is longer or shorter than its Content-Length", async () => {
  for (const length of ["3", "5"]) {
    const init = { method: "PUT", body: "four", headers: { "content-length": length } };
    const response = await fetchInProcess("/v1/objects/length", init);
    expect([response.status, (await response.json()).type]).toEqual([400, "/problems/length-mismatch"]);
  }
});

test("app.fetch answers 500 without internals and reports the error when something unexpected is thrown", async () => {
  const fail = () => {
    throw new Error("secret");
  };
  const broken = memoryApp({
    copyLimitBytes: 0,
    copy: fail,
    send: fail,
  });
  await broken.app.fetch(new Request("http://vitrine/v1/objects/a", { method: "PUT", body: "x" }), {});
  const response = await broken.app.fetch(new Request("http://vitrine/v1/objects/a"), {});
  expect(response.status).toBe(500);
  expect(await response.text()).not.toContain("secret");
  expect(broken.errors.map(String)).toEqual(["Error: secret"]);
  expect(broken.app.activeRequests()).toBe(0);
});

test("app.fetch leaves no hold and no active request when the contract has run", () => {
  expect(storage.open).toEqual({ reads: 0, uploads: 0 });
  expect(app.activeRequests()).toBe(0);
  expect(errors).toEqual([]);
});
