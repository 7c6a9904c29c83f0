import { expect, test } from "bun:test";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import process from "node:process";
import type { Port } from "../../src/core/threads.ts";
import { MANY_KEYS } from "../../src/l2/adapter.ts";
import { FileReader } from "../../src/l2/file/adapter.ts";
import { OwnerLine } from "../../src/l2/file/line/folder_line.ts";
import type { FromOwner, ToOwner } from "../../src/l2/file/line/messages.ts";
import { openTiers } from "../../src/l2/mod.ts";
import { errorBody, withStore } from "./s3/store.ts";
import { codeOf, inFolder, key, newBench } from "./support.ts";

const NAMES = Array.from({ length: MANY_KEYS }, (_, i) => `k${i}`);
const KEYS = NAMES.map((name) => key(name, "t"));

async function withTier<T>(url: string, body: (tier: Awaited<ReturnType<typeof openTiers>>[number]) => Promise<T>) {
  const [tier] = await openTiers([url], newBench());
  if (tier === undefined) throw new Error("open tier: none");
  try {
    return await body(tier);
  } finally {
    await tier.close();
  }
}

test("a file tier is asked about 1000 keys in one message, with one call", async () => {
  const posted: ToOwner[] = [];
  let hear: (message: FromOwner) => void = () => {};
  const port: Port<ToOwner, FromOwner> = {
    post: (message) => {
      posted.push(message);
      for (const { id, call } of message.calls) {
        const value = call.method === "has" ? call.keys.map(({ key: name }) => name === "k999") : undefined;
        hear({ kind: "answers", answers: [{ id, value }] });
      }
    },
    listen: (onMessage) => void (hear = onMessage),
    close() {},
  };
  const line = new OwnerLine();
  line.connect(port);
  await inFolder(async (path) => {
    const reader = new FileReader({ name: "fs", path, sync: false, folder: line.reader(0, () => {}) });
    expect((await reader.has(KEYS)).indexOf(true)).toBe(999);
    await reader.close();
  });
  line.close();
  expect(posted.map(({ calls }) => calls.map(({ call }) => call.method))).toEqual([["has"]]);
});

/** The whole command at the start of a text: a list of strings, each with its length. */
function commandIn(text: string): string | undefined {
  const head = /^\*(\d+)\r\n/.exec(text);
  let at = head?.[0].length ?? 0;
  for (let left = Number(head?.[1] ?? 1); left > 0; left -= 1) {
    const length = /^\$(\d+)\r\n/.exec(text.slice(at, at + 16));
    if (length === null) return undefined;
    at += length[0].length + Number(length[1]) + 2;
  }
  return at <= text.length ? text.slice(0, at) : undefined;
}

/** An engine that has nothing, and answers lookups only once `count` of them have come. */
async function withEngine(count: number, body: (port: number) => Promise<void>): Promise<number> {
  let lookups = 0;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let text = "";
    socket.on("error", () => {});
    socket.on("data", (bytes: Buffer) => {
      text += bytes.toString("latin1");
      const before = lookups;
      let answers = "";
      for (let command = commandIn(text); command !== undefined; command = commandIn(text)) {
        text = text.slice(command.length);
        if (command.includes("\r\nHMGET\r\n")) lookups += 1;
        else answers += ":0\r\n";
      }
      if (lookups === count && lookups > before) answers += "*2\r\n$-1\r\n$-1\r\n".repeat(count);
      if (answers !== "") socket.write(answers);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("fake engine: no port");
  try {
    await body(address.port);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
  return lookups;
}

test("a Redis is asked about 1000 keys in one round trip: it answers nothing before all commands are there", async () => {
  const lookups = await withEngine(
    MANY_KEYS,
    (port) =>
      withTier(`redis://127.0.0.1:${port}?coherence=off`, async (tier) => {
        expect((await tier.has(KEYS)).filter(Boolean)).toEqual([]);
      }),
  );
  expect(lookups).toBe(MANY_KEYS);
});

async function withBucket(
  answer: (name: string) => { readonly status: number; readonly body?: string },
  body: (url: string, asked: () => number) => Promise<void>,
): Promise<void> {
  const before = { ...process.env };
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: "AK", AWS_SECRET_ACCESS_KEY: "secret" });
  try {
    await withStore(({ path }) => answer(path), async ({ url, asked }) => {
      const lookups = () => asked.filter(({ path }) => path.includes("/k")).length;
      await body(`s3://bucket/p?endpoint=${encodeURIComponent(url)}&region=r`, lookups);
    });
  } finally {
    for (const name of ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]) {
      const old = before[name];
      if (old === undefined) delete process.env[name];
      else process.env[name] = old;
    }
  }
}

test("a bucket is asked about each key once, and about no more once it has failed", async () => {
  await withBucket(() => ({ status: 404, body: errorBody("NoSuchKey") }), async (url, asked) => {
    await withTier(url, async (tier) => {
      expect((await tier.has(KEYS.slice(0, 200))).filter(Boolean)).toEqual([]);
      expect(asked()).toBe(200);
    });
  });
  const refusing = (path: string) =>
    path.includes("/k")
      ? { status: 403, body: errorBody("AccessDenied") }
      : { status: 404, body: errorBody("NoSuchKey") };
  await withBucket(refusing, async (url, asked) => {
    await withTier(url, async (tier) => {
      expect(await codeOf(tier.has(KEYS))).toBe("tier_failed");
      expect(asked()).toBeLessThan(100);
    });
  });
});
