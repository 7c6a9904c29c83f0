import { expect } from "bun:test";
import { type ContractCase, refusal } from "../contract_client.ts";

const BODY = "0123456789";

function part(range: string, contentRange: string, body: string): ContractCase {
  return {
    name: `GET answers 206 when Range is ${range}`,
    async run(client) {
      await client.create("a", BODY);
      const response = await client.get("a", { range });
      expect([response.status, response.headers.get("content-range")]).toEqual([206, `bytes ${contentRange}/10`]);
      expect(await response.text()).toBe(body);
    },
  };
}

function whole(range: string, why: string): ContractCase {
  return {
    name: `GET ignores Range and answers 200 when it ${why}`,
    async run(client) {
      await client.create("a", BODY);
      const response = await client.get("a", { range });
      expect([response.status, response.headers.get("content-range"), await response.text()]).toEqual([
        200,
        null,
        BODY,
      ]);
    },
  };
}

function outside(range: string, body: string): ContractCase {
  return {
    name: `GET answers 416 with the size when Range is ${range} of ${body.length} bytes`,
    async run(client) {
      await client.create("a", body);
      const response = await client.get("a", { range });
      expect(response.headers.get("content-range")).toBe(`bytes */${body.length}`);
      expect(await refusal(response)).toEqual([416, "/problems/bad-range"]);
    },
  };
}

function ifRange(name: string, value: (etag: string) => string, status: number): ContractCase {
  return {
    name: `GET answers ${status} to a Range when If-Range is ${name}`,
    async run(client) {
      const etag = await client.create("a", BODY);
      expect((await client.get("a", { range: "bytes=0-0", "if-range": value(etag) })).status).toBe(status);
    },
  };
}

/** Range and If-Range. */
export const rangeCases: readonly ContractCase[] = [
  part("bytes=0-0", "0-0", "0"),
  part("bytes=2-4", "2-4", "234"),
  part("bytes=9-9", "9-9", "9"),
  part("bytes=7-", "7-9", "789"),
  part("bytes=0-", "0-9", BODY),
  part("bytes=5-999999999999999999999", "5-9", "56789"),
  part("bytes=-3", "7-9", "789"),
  part("bytes=-10", "0-9", BODY),
  part("bytes=-11", "0-9", BODY),
  part("BYTES=1-1", "1-1", "1"),
  whole("bytes=0-1,3-4", "asks for several"),
  whole("bytes=4-2", "ends before it starts"),
  whole("bytes=-", "is empty"),
  whole("bytes=a-b", "is no number"),
  whole("lines=0-1", "counts in another unit"),
  outside("bytes=10-", BODY),
  outside("bytes=10-12", BODY),
  outside("bytes=-0", BODY),
  outside("bytes=0-", ""),
  ifRange("its ETag", (etag) => etag, 206),
  ifRange("another ETag", () => '"other"', 200),
  ifRange("its ETag, but weak", (etag) => `W/${etag}`, 200),
  ifRange("a date", () => "Wed, 21 Oct 2026 07:28:00 GMT", 200),
  {
    name: "GET answers 206 with the right bytes when the range of a large object is streamed",
    async run(client) {
      const body = new Uint8Array(3_000_000).map((_, i) => i % 251);
      await client.create("a", body);
      const sent = new Uint8Array(await (await client.get("a", { range: "bytes=1000001-2500000" })).arrayBuffer());
      expect(sent.length).toBe(1_500_000);
      expect(sent.every((byte, i) => byte === (i + 1_000_001) % 251)).toBe(true);
    },
  },
];
