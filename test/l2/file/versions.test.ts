import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { VitrineError } from "../../../src/core/errors.ts";
import { openOwnFolder } from "../../../src/l2/file/adapter.ts";
import { type BlockingDisk, systemDisk } from "../../../src/l2/file/disk.ts";
import { openStore } from "../../../src/l2/file/store/open_store.ts";
import { decodeTail, encodeTail, FOOTER_BYTES, tailLength } from "../../../src/l2/file/layout.ts";
import { Random } from "../../e2e/support/random.ts";
import { codeOf, holds, inFolder, key, metaOf, newBench, pattern, sourceOf } from "../support.ts";
import { craft, type Folder, withFolder } from "./folder.ts";
import { writeOldFolder } from "./old_folder.ts";
import { MEMORY_DISK, SimulatedDisk } from "./simulated_disk.ts";

/** The same file of another version of the format, sound in all else. */
function withVersion(file: Uint8Array, digit: string): Uint8Array {
  const bytes = Buffer.from(file);
  const footer = bytes.subarray(bytes.length - FOOTER_BYTES);
  footer.write(`VTR${digit}`, 0, "latin1");
  footer.writeUInt32LE(crc32(footer.subarray(0, FOOTER_BYTES - 4)), FOOTER_BYTES - 4);
  return bytes;
}

function setVersion(file: string, digit: string): void {
  writeFileSync(file, withVersion(readFileSync(file), digit));
}

function versionOf(file: string): string {
  const bytes = readFileSync(file);
  return bytes.toString("latin1", bytes.length - FOOTER_BYTES, bytes.length - FOOTER_BYTES + 4);
}

/** What opening fails with; "" if it does not. */
async function whyNot(folder: Folder): Promise<string> {
  try {
    await folder.open();
    return "";
  } catch (error) {
    if (error instanceof VitrineError && error.code === "tier_failed") return error.message;
    throw error;
  }
}

test("FileAdapter reads the folder of 0.1.0 and goes on in it", async () => {
  await withFolder(async (folder) => {
    writeOldFolder(folder.path);
    const before = folder.files();
    const adapter = await folder.open();
    expect(folder.opened.recovery).toMatchObject({ adopted: 2, corrupt: 0 });
    expect(folder.files()).toEqual(before.map((file) => `${file}.object`));
    const json = new TextEncoder().encode('{"a":1}');
    expect(await holds(adapter, key("empty"), new Uint8Array())).toBe(true);
    expect(await holds(adapter, key("models/é.json", "team-a"), json)).toBe(true);
    expect(await adapter.lookup(key("models/é.json", "team-a"))).toEqual({
      sizeBytes: 7,
      crc32: 1_444_654_255,
      version: 1_740_800_000_000_007,
      createdMs: 1_700_000_000_000,
      expiresMs: 9_999_999_999_999,
      contentType: "application/json",
      sha256: "AVq9fxF1pjqWhUFfzlVCSdctr5RqGtmlxVxHaQcjSuo=",
    });
    await adapter.store(key("empty"), sourceOf(pattern(5), { meta: { headers: "content-encoding:gzip\n" } }));
    await adapter.close();
    const again = await folder.open();
    expect(folder.opened.recovery).toMatchObject({ adopted: 0, corrupt: 0 });
    expect((await again.lookup(key("empty")))?.headers).toBe("content-encoding:gzip\n");
  });
});

test(
  "FileAdapter goes on with taking up a folder of 0.1.0, whatever interrupts it, and never takes up what was deleted since",
  async () => {
    const at = key("models/é.json", "team-a");
    const json = new TextEncoder().encode('{"a":1}');
    for (const loss of ["kill", "power"] as const) {
      for (let crashAt = 1;; crashAt += 1) {
        let hasCrashed = false;
        await inFolder(async (folder) => {
          const path = join(folder, "tier");
          const settings = { ...newBench(), name: "fs", limitBytes: 0, sync: true };
          writeOldFolder(path);
          const simulated = new SimulatedDisk(path, crashAt);
          simulated.keepIndex();
          try {
            await openOwnFolder({ ...settings, path, blockingDisk: simulated.disk }).adapter.close();
          } catch (error) {
            if (!simulated.hasCrashed) throw error;
          }
          hasCrashed = simulated.hasCrashed;
          const random = new Random(crashAt);
          const left = loss === "kill"
            ? simulated.afterKill()
            : simulated.afterPowerLoss((choices) => random.below(choices));
          const { adapter } = openOwnFolder({ ...settings, path: left });
          expect(await holds(adapter, at, json)).toBe(true);
          expect((await adapter.usage()).objects).toBe(2);
          await adapter.delete(at);
          await adapter.close();
          const again = openOwnFolder({ ...settings, path: left });
          expect(await again.adapter.lookup(at)).toBe(undefined);
          expect(again.recovery).toMatchObject({ adopted: 0, leftovers: 0 });
          await again.adapter.close();
        }, MEMORY_DISK);
        if (!hasCrashed) break;
        expect(crashAt).toBeLessThan(30);
      }
    }
  },
);

test("a folder of 0.1.0 on a full disk loses nothing, and is taken over when there is room", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "tier");
    const options = { ...newBench(), name: "fs", path, limitBytes: 0, sync: true };
    writeOldFolder(path);
    let isDiskFull = true;
    let renames = 0;
    const disk: BlockingDisk = {
      ...systemDisk,
      rename(from, to) {
        renames += 1;
        // One file has its new name already.
        if (isDiskFull && renames > 1) throw Object.assign(new Error("ENOSPC: injected"), { code: "ENOSPC" });
        systemDisk.rename(from, to);
      },
    };
    expect(() => openStore({ ...options, disk })).toThrow("ENOSPC: injected");
    isDiskFull = false;
    const store = openStore({ ...options, disk });
    expect(store.recovery.corrupt).toBe(0);
    expect((await store.usage()).objects).toBe(2);
    await store.close();
    expect(options.left).toEqual([]);
  });
});

test("FileAdapter writes version 1 of the format, which 0.1.0 reads, as long as there are no headers to keep", async () => {
  await withFolder(async (folder) => {
    const adapter = await folder.open();
    await adapter.store(key("a"), sourceOf(pattern(5)));
    expect(versionOf(folder.file())).toBe("VTR1");
    await adapter.store(key("a"), sourceOf(pattern(5), { meta: { headers: "expires:0\n" } }));
    expect(versionOf(folder.file())).toBe("VTR2");
  });
});

test("FileAdapter refuses a folder with a file of a later format in one line, and leaves the file", async () => {
  await withFolder(async (folder) => {
    writeOldFolder(folder.path);
    const [name = ""] = folder.files();
    setVersion(name, "3");
    const file = readFileSync(name);
    expect(await whyNot(folder)).toBe(
      "read object file: its format is VTR3, of a later version of Vitrine; this one reads up to VTR2",
    );
    expect(readFileSync(name).equals(file)).toBe(true);
  });
});

test("FileAdapter fails the load, and leaves the file, when it became one of a later format under the index", async () => {
  await withFolder(async (folder) => {
    await craft(folder, pattern(10), (file) => setVersion(file, "3"));
    const adapter = await folder.open();
    expect(await codeOf(adapter.load(key("a", "t")))).toBe("tier_failed");
    expect(folder.files().length).toBe(1);
    expect(folder.removed).toEqual([]);
  });
});

test("decodeTail gives the headers back, or nothing when they could break out of a field", () => {
  const at = { tenant: "t", key: "a" };
  const decoded = (headers: string) => {
    const meta = metaOf(pattern(0), { headers });
    const bytes = encodeTail({ key: at, meta }, []);
    return decodeTail(bytes, bytes.length)?.meta.headers;
  };
  for (const good of ["a:b\n", "a:\n", "a:b:c\nb:\u00ff\t \n"]) expect(decoded(good)).toBe(good);
  for (const bad of ["a:b\r\n", "a:b\nc", "a:\u0000\n", "A:b\n", "a:\u0100\n", ":b\n", "a\n", "\n"]) {
    expect(decoded(bad)).toBe(undefined);
  }
});

test("tailLength finds no footer when the version is none", () => {
  const bytes = encodeTail({ key: { tenant: "", key: "a" }, meta: metaOf(pattern(0)) }, []);
  for (const digit of ["0", "/", "\u0000"]) expect(tailLength(withVersion(bytes, digit), bytes.length)).toBe(undefined);
});

test("FileAdapter builds the index with all headers again when it is lost", async () => {
  await withFolder(async (folder) => {
    const headers = `content-encoding:gzip\nvitrine-meta-a:${"\u00ff".repeat(4000)}\n`;
    const adapter = await folder.open();
    await adapter.store(key("k".repeat(1024)), sourceOf(pattern(3), { meta: { headers } }));
    await adapter.close();
    writeFileSync(join(folder.path, "index.sqlite"), "");
    const again = await folder.open();
    expect(folder.opened.recovery.adopted).toBe(1);
    expect((await again.lookup(key("k".repeat(1024))))?.headers).toBe(headers);
    expect(await holds(again, key("k".repeat(1024)), pattern(3))).toBe(true);
  });
});
