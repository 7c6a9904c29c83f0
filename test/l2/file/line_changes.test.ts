import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { nextTurn } from "../../../src/core/clock.ts";
import { openDisk } from "../../../src/l2/file/disk.ts";
import { OwnerLine } from "../../../src/l2/file/line/folder_line.ts";
import type { FromOwner, ToOwner } from "../../../src/l2/file/line/messages.ts";
import { portOf } from "../../../src/runtime/thread.ts";
import type { Port } from "../../../src/core/threads.ts";
import { Gate } from "../../support/gate.ts";
import { codeOf, holds, inFolder, key, metaOf, newBench, pattern, sourceOf } from "../support.ts";
import { LineAdapter } from "./line.ts";

const settings = { name: "fs", limitBytes: 0, sync: true, recordLimitBytes: 1000 };
const MIB = 1024 * 1024;

/** A port whose other end is the test: what was posted, and what is to be heard; `end` closes it from there. */
function fakePort() {
  const posted: ToOwner["calls"][number][] = [];
  let hear: (message: FromOwner) => void = () => {};
  let end = () => {};
  const port: Port<ToOwner, FromOwner> = {
    post: ({ calls }) => void posted.push(...calls),
    listen(onMessage, onClose) {
      hear = onMessage;
      end = onClose;
    },
    close: () => {},
  };
  return { port, posted, hear: (message: FromOwner) => hear(message), end: () => end() };
}

const removal = (name: string) => ({ kind: "delete", key: key(name), durable: true }) as const;

test("OwnerLine fails the changes that were sent when the owner ends, and asks the next one for those that were not", async () => {
  const troubled: string[] = [];
  const line = new OwnerLine({ onTrouble: () => troubled.push("trouble") });
  const [first, second] = [fakePort(), fakePort()];
  line.connect(first.port);
  const { folder } = line.store(0, () => {});
  const sent = codeOf(folder.change(removal("sent")));
  const found = folder.find(key("found"), false);
  await nextTurn();
  first.end();
  expect(await sent).toBe("tier_failed");
  const unsent = folder.change(removal("unsent"));
  await nextTurn();
  expect(troubled).toEqual([]);
  line.connect(second.port);
  expect(second.posted.map(({ call }) => call.method)).toEqual(["find", "change"]);
  expect(troubled).toEqual(["trouble"]);
  const [find, change] = second.posted;
  second.hear({
    kind: "answers",
    answers: [{ id: find?.id ?? 0, value: undefined }, { id: change?.id ?? 0, value: true }],
  });
  expect([await found, await unsent]).toEqual([undefined, true]);
});

test("OwnerLine fails what only reads at once while the owner is known not to answer, and goes on afterwards", async () => {
  let outage: string | undefined = "blocked for 6 s";
  const line = new OwnerLine({ outage: () => outage });
  const { port, posted } = fakePort();
  line.connect(port);
  const { folder } = line.store(0, () => {});
  const reads = [
    folder.find(key("a"), true),
    folder.list({ tenant: "", prefix: "", limit: 1, after: "" }),
    folder.usage(),
  ];
  expect(await Promise.all(reads.map(codeOf))).toEqual(["tier_failed", "tier_failed", "tier_failed"]);
  folder.change(removal("a")).catch(() => {});
  outage = undefined;
  folder.find(key("a"), true).catch(() => {});
  await nextTurn();
  expect(posted.map(({ call }) => call.method)).toEqual(["change", "find"]);
  line.close();
});

test("a clear over a line says that nothing is visible before it says how many objects are gone", async () => {
  await withLine(async (adapter) => {
    await adapter.store(key("a"), sourceOf(pattern(10)));
    const order: string[] = [];
    const cleared = await adapter.clear(undefined, () => order.push("invisible"));
    order.push("gone");
    expect([cleared, order]).toEqual([1, ["invisible", "gone"]]);
  });
});

/** Files of large objects, finished or not. */
function filesOf(path: string): readonly string[] {
  const all = ["incoming", "objects"].flatMap((folder) =>
    readdirSync(join(path, folder), { recursive: true, withFileTypes: true })
  );
  return all.filter((entry) => entry.isFile()).map(({ name }) => name);
}

for (const sizeBytes of [500, 3 * MIB + 5]) {
  test(`a store of ${sizeBytes} bytes over a line that is not wanted any more leaves the folder as it was`, async () => {
    await withLine(async (adapter, { path }) => {
      await adapter.store(key("a"), sourceOf(pattern(sizeBytes, 1)));
      const before = filesOf(path);
      const given = new Error("nobody waits");
      const source = {
        ...sourceOf(pattern(sizeBytes, 2)),
        assertWanted() {
          throw given;
        },
      };
      const error: unknown = await adapter.store(key("a"), source).catch((cause: unknown) => cause);
      expect(error).toBe(given);
      expect([await holds(adapter, key("a"), pattern(sizeBytes, 1)), filesOf(path)]).toEqual([true, before]);
    });
  });
}

test("a large object over a line is broken off when its source fails, and when its line ends", async () => {
  await withLine(async (adapter, { path }) => {
    async function* failing() {
      yield pattern(MIB);
      throw new Error("client gone");
    }
    const bytes = pattern(2 * MIB);
    await expect(adapter.store(key("a"), { chunks: failing(), meta: () => metaOf(bytes) })).rejects.toThrow(
      "client gone",
    );
    while (filesOf(path).length > 0) await nextTurn();
    const gate = new Gate();
    async function* waiting() {
      yield pattern(MIB);
      await gate.wait();
    }
    const store = codeOf(adapter.store(key("a"), { chunks: waiting(), meta: () => metaOf(bytes) }));
    while (filesOf(path).length === 0) await nextTurn();
    adapter.owner.detach();
    while (filesOf(path).length > 0) await nextTurn();
    gate.open();
    expect(await store).toBe("tier_failed");
  });
});

test("a change that was sent after a large object of its key is made after it, and so is a clear", async () => {
  await withLine(async (adapter, { syncing }) => {
    for (const after of ["store", "delete", "clear"] as const) {
      syncing.shut();
      const large = adapter.store(key("a"), sourceOf(pattern(2 * MIB, 1)));
      await syncing.reached();
      const next = after === "store"
        ? adapter.store(key("a"), sourceOf(pattern(10, 2)))
        : after === "delete"
        ? adapter.delete(key("a"))
        : adapter.clear();
      const other = adapter.store(key("b"), sourceOf(pattern(20, 3)));
      if (after !== "clear") await other;
      syncing.open();
      await Promise.all([large, next, other]);
      const kept = after === "store" ? await holds(adapter, key("a"), pattern(10, 2)) : await adapter.lookup(key("a"));
      expect([after, kept]).toEqual([after, after === "store" ? true : undefined]);
    }
  });
});

test("the next line's calls begin when the changes of the line before have ended", async () => {
  await withLine(async (adapter, { syncing }) => {
    await adapter.store(key("a"), sourceOf(pattern(2 * MIB, 1)));
    syncing.shut();
    const large = codeOf(adapter.store(key("a"), sourceOf(pattern(2 * MIB, 2))));
    await syncing.reached();
    adapter.owner.detach();
    expect(await large).toBe("tier_failed");
    adapter.line.connect(portOf<ToOwner, FromOwner>(adapter.owner.attach()));
    let isAnswered = false;
    const looking = adapter.lookup(key("a")).finally(() => isAnswered = true);
    for (let turn = 0; turn < 20; turn += 1) await nextTurn();
    expect(isAnswered).toBe(false);
    syncing.open();
    await looking;
    expect(await holds(adapter, key("a"), pattern(2 * MIB, 1))).toBe(true);
  });
});

/** A gate before each fsync of a large object. */
class Syncing {
  #gate: Gate | undefined;

  shut(): void {
    this.#gate = new Gate();
  }

  /** Resolves when a file waits at the gate. */
  async reached(): Promise<void> {
    await this.#gate?.reached;
  }

  open(): void {
    this.#gate?.open();
    this.#gate = undefined;
  }

  async pass(): Promise<void> {
    await this.#gate?.wait();
  }
}

async function withLine(
  body: (adapter: LineAdapter, folder: { readonly path: string; readonly syncing: Syncing }) => Promise<void>,
): Promise<void> {
  await inFolder(async (path) => {
    const syncing = new Syncing();
    const real = openDisk({ sync: false });
    const disk = {
      ...real,
      async create(at: string) {
        const file = await real.create(at);
        return {
          ...file,
          async sync() {
            await syncing.pass();
            await file.sync();
          },
        };
      },
    };
    const adapter = new LineAdapter({ ...newBench(), ...settings, path, disk });
    try {
      await body(adapter, { path, syncing });
    } finally {
      await adapter.close();
    }
  });
}
