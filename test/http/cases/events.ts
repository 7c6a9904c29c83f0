import { expect } from "bun:test";
import { EventStream, type SeenRecord } from "../../support/event_stream.ts";
import { type ContractCase, type ContractClient, refusal } from "../contract_client.ts";

const PATH = "/v1/events?type=http.request.end";

async function listen(client: ContractClient, path = PATH, headers: Record<string, string> = {}): Promise<EventStream> {
  const response = await client.fetch(path, { headers });
  expect(response.status).toBe(200);
  return new EventStream(response);
}

const isEndOf = (method: string) => (record: SeenRecord) =>
  record.name === "http.request.end" && record["method"] === method;

/** /v1/events: the events as they happen. */
export const eventCases: readonly ContractCase[] = [
  {
    name: "GET /v1/events answers lines of JSON when the client does not ask for Server-Sent Events",
    async run(client) {
      const response = await client.fetch(PATH);
      expect([response.status, response.headers.get("content-type")]).toEqual([200, "application/x-ndjson"]);
      expect(response.headers.get("cache-control")).toBe("no-store");
      const stream = new EventStream(response);
      expect(await stream.line()).toBe("");
      await client.put("a", "hello");
      // A group of what was before may come first.
      const record = await stream.find((each) => isEndOf("PUT")(each) && each["status"] === "201");
      expect(record).toMatchObject({ name: "http.request.end", route: "/v1/objects/{key}" });
      expect(record.count).toBeGreaterThan(0);
      expect([typeof record.id, typeof record["folded"]]).toEqual(["string", "boolean"]);
      expect(new Date(String(record["time"])).toISOString()).toBe(String(record["time"]));
      await stream.leave();
    },
  },
  {
    name: "GET /v1/events answers Server-Sent Events with ids when Accept names them",
    async run(client) {
      const response = await client.fetch(PATH, { headers: { accept: "text/event-stream" } });
      expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
      const stream = new EventStream(response);
      expect(await stream.line()).toBe("retry: 1000");
      await client.put("a", "hello");
      const lines = [];
      for (let line = await stream.line(); !line?.startsWith("data: "); line = await stream.line()) lines.push(line);
      expect(lines.at(-1)).toBe("event: http.request.end");
      expect(lines.at(-2)).toMatch(/^id: [0-9a-z]+-\d+$/);
      await stream.leave();
    },
  },
  {
    name: "GET /v1/events shows the events of all globs when type is repeated or has commas",
    async run(client) {
      const stream = await listen(client, "/v1/events?type=l1.removed,http.*.end&type=http.request.st*");
      await client.put("a", "hello");
      const names = new Set<string>();
      for (const name of ["http.request.start", "http.request.end"]) {
        if (!names.has(name)) await stream.find((record) => names.add(record.name).has(name));
      }
      await stream.leave();
      expect([...names].filter((name) => !/^(http\.request\.(start|end)|l1\.removed)$/.test(name))).toEqual([]);
    },
  },
  {
    name: "GET /v1/events answers 400 that names the glob when it fits no event",
    async run(client) {
      for (const glob of ["l9.*", "http.request", "", ".", "l1.read.finishe"]) {
        const response = await client.fetch(`/v1/events?type=l1.*,${glob}`);
        const problem = await response.json();
        expect([problem.status, problem.type, problem.detail]).toEqual([
          400,
          "/problems/bad-request",
          `parse query: type: no such event: ${glob}`,
        ]);
      }
    },
  },
  ...["tenant=a&type=bus.*", "type=http.body&tenant=a", "typ=l1.*", "tenant=a&tenant=b"].map((query): ContractCase => ({
    name: `GET /v1/events answers 400 when the query is ${query}`,
    async run(client) {
      expect(await refusal(await client.fetch(`/v1/events?${query}`))).toEqual([400, "/problems/bad-request"]);
    },
  })),
  {
    name: "HEAD /v1/events answers the headers and opens no stream",
    async run(client) {
      for (let i = 0; i < 20; i++) {
        const response = await client.fetch(PATH, { method: "HEAD" });
        expect([response.status, response.headers.get("content-type")]).toEqual([200, "application/x-ndjson"]);
        expect(await response.text()).toBe("");
      }
    },
  },
  {
    name: "GET /v1/events goes on after the last id when a client comes back",
    async run(client) {
      const stream = await listen(client);
      await client.put("a", "hello");
      const { id } = await stream.find(isEndOf("PUT"));
      await client.delete("a");
      const seen = await stream.find(isEndOf("DELETE"));
      await stream.leave();
      for (
        const again of [
          await listen(client, PATH, { "last-event-id": id }),
          await listen(client, `${PATH}&last_event_id=${id}`),
        ]
      ) {
        const replayed = await again.find(isEndOf("DELETE"));
        await again.leave();
        expect(replayed).toEqual(seen);
      }
    },
  },
  {
    name: "GET /v1/events tells that it does not know how much was lost when the id is of another server",
    async run(client) {
      for (const id of ["0123456789ab-7", "nonsense", "-"]) {
        const stream = await listen(client, PATH, { "last-event-id": id });
        expect(await stream.next()).toMatchObject({ name: "lost", count: null });
        await stream.leave();
      }
    },
  },
];
