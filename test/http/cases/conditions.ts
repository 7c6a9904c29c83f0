import { expect } from "bun:test";
import { type ContractCase, refusal } from "../contract_client.ts";

interface Condition {
  readonly method: "GET" | "HEAD" | "PUT" | "DELETE";
  readonly header: "if-match" | "if-none-match";
  readonly is: string;
  readonly value: (etag: string) => string;
  readonly status: number;
}

/** On an object that is there. */
const onPresent: readonly Condition[] = [
  { method: "GET", header: "if-none-match", is: "its ETag", value: (etag) => etag, status: 304 },
  { method: "GET", header: "if-none-match", is: "its ETag, weak", value: (etag) => `W/${etag}`, status: 304 },
  { method: "GET", header: "if-none-match", is: "a list with it", value: (etag) => `"x", ${etag} ,"y"`, status: 304 },
  { method: "GET", header: "if-none-match", is: "*", value: () => "*", status: 304 },
  { method: "GET", header: "if-none-match", is: "another", value: () => '"x"', status: 200 },
  { method: "GET", header: "if-none-match", is: "not quoted", value: () => "x", status: 400 },
  { method: "GET", header: "if-match", is: "its ETag", value: (etag) => etag, status: 200 },
  { method: "GET", header: "if-match", is: "a list with it", value: (etag) => `"x", ${etag}`, status: 200 },
  { method: "GET", header: "if-match", is: "*", value: () => "*", status: 200 },
  { method: "GET", header: "if-match", is: "another", value: () => '"x"', status: 412 },
  { method: "GET", header: "if-match", is: "its ETag, weak", value: (etag) => `W/${etag}`, status: 412 },
  { method: "HEAD", header: "if-none-match", is: "its ETag", value: (etag) => etag, status: 304 },
  { method: "HEAD", header: "if-match", is: "another", value: () => '"x"', status: 412 },
  { method: "PUT", header: "if-none-match", is: "*", value: () => "*", status: 412 },
  { method: "PUT", header: "if-none-match", is: "its ETag", value: (etag) => etag, status: 412 },
  { method: "PUT", header: "if-none-match", is: "another", value: () => '"x"', status: 200 },
  { method: "PUT", header: "if-match", is: "its ETag", value: (etag) => etag, status: 200 },
  { method: "PUT", header: "if-match", is: "a list with it", value: (etag) => `"x",${etag}`, status: 200 },
  { method: "PUT", header: "if-match", is: "*", value: () => "*", status: 200 },
  { method: "PUT", header: "if-match", is: "another", value: () => '"x"', status: 412 },
  { method: "PUT", header: "if-match", is: "its ETag, weak", value: (etag) => `W/${etag}`, status: 412 },
  { method: "PUT", header: "if-match", is: "not quoted", value: () => "x", status: 400 },
  { method: "DELETE", header: "if-match", is: "its ETag", value: (etag) => etag, status: 204 },
  { method: "DELETE", header: "if-match", is: "another", value: () => '"x"', status: 412 },
  { method: "DELETE", header: "if-none-match", is: "its ETag", value: (etag) => etag, status: 412 },
];

/** On a key without an object. */
const onAbsent: readonly Condition[] = [
  { method: "GET", header: "if-none-match", is: "*", value: () => "*", status: 404 },
  { method: "GET", header: "if-match", is: "*", value: () => "*", status: 404 },
  { method: "PUT", header: "if-none-match", is: "*", value: () => "*", status: 201 },
  { method: "PUT", header: "if-match", is: "*", value: () => "*", status: 412 },
  { method: "PUT", header: "if-match", is: "an ETag", value: () => '"x"', status: 412 },
  { method: "DELETE", header: "if-match", is: "*", value: () => "*", status: 404 },
];

function conditionCase(condition: Condition, present: boolean): ContractCase {
  const { method, header, is, value, status } = condition;
  return {
    name: `${method} answers ${status} when ${header} is ${is} and the object is ${present ? "there" : "not there"}`,
    async run(client) {
      const etag = present ? await client.create("a", "old") : "";
      const init = { headers: { [header]: value(etag) }, ...(method === "PUT" ? { body: "new" } : {}) };
      const response = await client.object(method, "a", init);
      expect(response.status).toBe(status);
      if (status === 304) expect([response.headers.get("etag"), await response.text()]).toEqual([etag, ""]);
      if (status >= 400 && method !== "HEAD") await refusal(response);
      if (present && status >= 300) expect((await client.head("a")).headers.get("etag")).toBe(etag);
    },
  };
}

/** If-Match and If-None-Match. */
export const conditionCases: readonly ContractCase[] = [
  ...onPresent.map((condition) => conditionCase(condition, true)),
  ...onAbsent.map((condition) => conditionCase(condition, false)),
  {
    name: "GET answers 304 before it looks at Range when If-None-Match names the object",
    async run(client) {
      const etag = await client.create("a", "old");
      expect((await client.get("a", { "if-none-match": etag, range: "bytes=9-" })).status).toBe(304);
    },
  },
  {
    name: "PUT lets one of two go first when both ask for If-None-Match: * at once",
    async run(client) {
      const put = () => client.put("a", "x".repeat(100_000), { "if-none-match": "*" });
      const statuses = (await Promise.all([put(), put(), put()])).map(({ status }) => status);
      expect(statuses.toSorted((a, b) => a - b)).toEqual([201, 412, 412]);
    },
  },
];
