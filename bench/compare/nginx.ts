import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { freePorts } from "../../test/e2e/tools/free_ports.ts";
import { ToolProcess } from "../../test/e2e/tools/tool_process.ts";
import { untilOpen } from "../support/port.ts";
import type { StartOptions } from "./contender.ts";

const configText = (folder: string, port: number) => `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  default_type application/octet-stream;
  server {
    listen 127.0.0.1:${port};
    root ${folder}/files;
  }
}
`;

/** An nginx of one process that sends the objects as files from `folder` (memory: /dev/shm). */
export async function startNginx(
  { prefix, folder, objects }: StartOptions,
): Promise<{ readonly port: number; readonly pid: number }> {
  for (const { path, sizeBytes } of objects) {
    const file = join(folder, "files", path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, new Uint8Array(sizeBytes).fill(120));
  }
  const [port = 0] = await freePorts(1);
  const configPath = join(folder, "nginx.conf");
  writeFileSync(configPath, configText(folder, port));
  const [command, ...args] = [...prefix, "nginx", "-p", folder, "-c", configPath, "-e", "stderr"];
  const { pid } = new ToolProcess(command, args);
  await untilOpen(port, "nginx");
  return { port, pid };
}
