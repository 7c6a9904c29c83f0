/** Fills the folder of a file tier without a server. Arguments: folder, number of objects, bytes of each. */
import process from "node:process";
import { crc32 } from "node:zlib";
import { systemClock } from "../../src/core/clock.ts";
import { FileStore } from "../../src/l2/file/store/file_store.ts";

/** Changes that are asked for at once. */
const IN_FLIGHT = 512;
const [path = "", count = "", size = ""] = process.argv.slice(2);
const payload = new Uint8Array(Number(size)).fill(120);
const crc = crc32(payload);
const store = new FileStore({ name: "fs", path, limitBytes: undefined, sync: true, publish() {}, clock: systemClock });
const startMs = systemClock.nowMs();

function put(number: number): Promise<boolean> {
  const meta = {
    sizeBytes: payload.length,
    crc32: crc,
    version: Math.floor(startMs) * 1024 + number,
    createdMs: startMs,
    expiresMs: 0,
    contentType: "application/octet-stream",
    sha256: "",
  };
  return store.change({ kind: "record", key: { tenant: "", key: `many/${number}` }, meta, payload, durable: false });
}

for (let first = 0; first < Number(count); first += IN_FLIGHT) {
  const length = Math.min(IN_FLIGHT, Number(count) - first);
  await Promise.all(Array.from({ length }, (_, at) => put(first + at)));
}
await store.close();
console.error(`filled: ${count} objects in ${((systemClock.nowMs() - startMs) / 1000).toFixed(1)} s`);
