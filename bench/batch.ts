/**
 * CPU time of the server for 1000 objects by one batch, and of a lookup of their keys, against 1000 single requests on
 * one connection; the least of the rounds. `bun run bench:batch [--runtime bun|deno] [--rounds N]`
 */
import { readFileSync } from "node:fs";
import { Connection } from "../test/e2e/support/http/connection.ts";
import { suiteOptions } from "../test/e2e/support/options.ts";
import { Random } from "../test/e2e/support/random.ts";
import { ServerProcess } from "../test/e2e/support/server_process.ts";
import { frameHead } from "../routes/batch/frames.ts";

const OBJECTS = 1000;
/** Lookups in a round: one alone takes less than the hundredth of a second that CPU time is counted in. */
const LOOKUPS = 100;
const options = suiteOptions({ rounds: 5 });

/** CPU time of a process so far, in hundredths of a second. */
function ticksOf(pid: number): number {
  const [, , ...fields] = readFileSync(`/proc/${pid}/stat`, "utf8").split(")").at(-1)?.split(" ") ?? [];
  return Number(fields[10]) + Number(fields[11]);
}

for (const runtime of options.runtimes) {
  const server = await ServerProcess.start({ runtime, flags: { workers: "1", "l1-size": "256MiB", l2: "none" } });
  for (const sizeBytes of [4096, 65_536]) {
    const body = new Random(sizeBytes).bytes(sizeBytes);
    const keys = Array.from({ length: OBJECTS }, (_, i) => `${sizeBytes}/${i}`);
    const connection = await Connection.open(server.address);
    const send = async (request: Parameters<Connection["send"]>[0]) => {
      const response = await connection.send(request);
      const { length } = await response.bytes();
      return { status: response.status, length };
    };
    const frames = new Uint8Array(
      await new Blob(keys.flatMap((key) => [frameHead({ key }, sizeBytes), body])).arrayBuffer(),
    );
    const ways: Readonly<Record<string, () => Promise<void>>> = {
      "PUT by a batch": async () => {
        await send({ method: "POST", path: "/v1/batch/put", body: frames });
      },
      "PUT one by one": async () => {
        for (const key of keys) await send({ method: "PUT", path: `/v1/objects/${key}`, body });
      },
      "GET by a batch": async () => {
        const asked = new TextEncoder().encode(JSON.stringify({ keys }));
        const { length } = await send({ method: "POST", path: "/v1/batch/get", body: asked });
        if (length < OBJECTS * sizeBytes) throw new Error(`read batch: ${length} bytes`);
      },
      "GET one by one": async () => {
        for (const key of keys) await send({ method: "GET", path: `/v1/objects/${key}` });
      },
      "HEAD one by one": async () => {
        for (const key of keys) await send({ method: "HEAD", path: `/v1/objects/${key}` });
      },
      lookup: async () => {
        const asked = new TextEncoder().encode(JSON.stringify({ keys }));
        for (let i = 0; i < LOOKUPS; i++) await send({ method: "POST", path: "/v1/lookup", body: asked });
      },
    };
    const least = new Map<string, number>();
    for (let round = 0; round < options.number("rounds"); round++) {
      for (const [name, run] of Object.entries(ways)) {
        const before = ticksOf(server.pid);
        for (let i = 0; i < 5; i++) await run();
        least.set(name, Math.min(least.get(name) ?? Infinity, ticksOf(server.pid) - before));
      }
    }
    connection.close();
    const micros = (ticks: number) => (ticks * 10_000 / (5 * OBJECTS)).toFixed(1);
    for (const method of ["GET", "PUT"]) {
      const [batch = 0, single = 0] = [`${method} by a batch`, `${method} one by one`].map((name) => least.get(name));
      console.log(
        `${runtime}: ${method} of ${OBJECTS} objects of ${sizeBytes} bytes: ${micros(batch)} us each by a batch, ` +
          `${micros(single)} us one by one, ratio ${(batch / single).toFixed(2)}`,
      );
    }
    const lookup = (least.get("lookup") ?? 0) / LOOKUPS;
    const heads = least.get("HEAD one by one") ?? 0;
    console.log(
      `${runtime}: ${OBJECTS} keys: ${micros(lookup * OBJECTS)} us by a lookup, ${micros(heads * OBJECTS)} us by ` +
        `HEADs, ${(heads / lookup).toFixed(0)} times as much`,
    );
  }
  await server.kill();
}
