import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as wait } from "node:timers/promises";
import { until } from "../../test/e2e/support/until.ts";
import { freePorts } from "../../test/e2e/tools/free_ports.ts";
import { ToolProcess } from "../../test/e2e/tools/tool_process.ts";
import { cpuSeconds } from "../support/cpu_time.ts";
import { untilOpen } from "../support/port.ts";
import type { Contender, Load, StartOptions } from "./contender.ts";
import { CLIENT_CORE } from "./http_load.ts";

/** The least that memaslap takes: so many objects for each connection. */
const objectsPerConnection = 1024;
const fillTimeoutMs = 20_000;

/**
 * A memcached under memaslap, which stores its objects first: only what follows is counted, by the server's own count.
 */
export async function startMemcached({ prefix, folder }: StartOptions): Promise<Contender> {
  const [port = 0] = await freePorts(1);
  const flags = ["-u", "nobody", "-l", "127.0.0.1", "-p", `${port}`, "-t", "1", "-m", "512"];
  const [command = "", ...args] = [...prefix, "memcached", ...flags];
  const { pid } = new ToolProcess(command, args);
  await untilOpen(port, "memcached");
  return {
    async measure({ sizeBytes, connections, seconds }: Load) {
      const settings = join(folder, "memaslap");
      writeFileSync(settings, `key\n16 16 1\nvalue\n${sizeBytes} ${sizeBytes} 1\ncmd\n0 0.0\n1 1.0\n`);
      const filled = (await counts(port)).sets + objectsPerConnection * connections;
      const options = ["-s", `127.0.0.1:${port}`, "-T", "1", "-c", `${connections}`, "-F", settings, "-w", "1k"];
      const load = new ToolProcess("taskset", ["-c", `${CLIENT_CORE}`, "memcaslap", ...options, "-t", "60s"]);
      const isFilled = await until(() => counts(port), ({ sets }) => sets >= filled, { timeoutMs: fillTimeoutMs });
      if (isFilled.sets < filled) throw new Error(`memaslap: no ${filled} objects stored: ${load.output}`);
      const before = { ...await counts(port), cpu: cpuSeconds(pid), ms: performance.now() };
      await wait(seconds * 1000);
      const { gets, misses } = await counts(port);
      const [cpu, ms] = [cpuSeconds(pid), performance.now()];
      await load.kill();
      const requests = gets - before.gets;
      if (misses > 0 || requests === 0) throw new Error(`memaslap: ${misses} misses, ${requests} requests`);
      return { rate: (requests * 1000) / (ms - before.ms), cpuUs: ((cpu - before.cpu) * 1e6) / requests };
    },
  };
}

async function counts(
  port: number,
): Promise<{ readonly gets: number; readonly sets: number; readonly misses: number }> {
  const socket = connect(port, "127.0.0.1");
  socket.write("stats\r\nquit\r\n");
  const stats = await text(socket);
  const count = (name: string) => Number(new RegExp(`^STAT ${name} (\\d+)`, "m").exec(stats)?.[1]);
  return { gets: count("cmd_get"), sets: count("cmd_set"), misses: count("get_misses") };
}
