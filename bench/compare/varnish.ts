import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePorts } from "../../test/e2e/tools/free_ports.ts";
import { ToolProcess } from "../../test/e2e/tools/tool_process.ts";
import { untilOpen } from "../support/port.ts";
import type { Contender, StartOptions } from "./contender.ts";
import { overHttp } from "./http_load.ts";

const vclText = (originPort: number) => `
vcl 4.1;
backend default { .host = "127.0.0.1"; .port = "${originPort}"; }
sub vcl_backend_response { set beresp.ttl = 1d; }
`;

/** A Varnish that has the objects in memory; it got them from the server at `originPort`. */
export async function startVarnish(
  { prefix, folder, objects }: StartOptions,
  originPort: number,
): Promise<Contender> {
  const [port = 0] = await freePorts(1);
  const vclPath = join(folder, "bench.vcl");
  writeFileSync(vclPath, vclText(originPort));
  const flags = ["-F", "-j", "none", "-n", join(folder, "varnish"), "-a", `127.0.0.1:${port}`, "-f", vclPath];
  const [command, ...args] = [...prefix, "varnishd", ...flags, "-s", "malloc,256m", "-p", "thread_pools=1"];
  const manager = new ToolProcess(command, args);
  await untilOpen(port, "varnishd");
  for (const { path, sizeBytes } of objects) {
    const ask = async () => await (await fetch(`http://127.0.0.1:${port}${path}`)).arrayBuffer();
    await ask();
    const { byteLength } = await ask();
    if (byteLength !== sizeBytes) throw new Error(`varnish: ${byteLength} bytes: ${path}: ${manager.output}`);
  }
  return overHttp({ port, pid: childOf(manager.pid) });
}

/** The process that serves: varnishd is a manager and its child. */
function childOf(parent: number): number {
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      if (Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === parent) return Number(name);
    } catch {
      // It has just ended.
    }
  }
  throw new Error(`varnishd: no child: ${parent}`);
}
