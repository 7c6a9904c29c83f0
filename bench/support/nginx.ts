import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { once } from "node:events";
import type { BareAnswers } from "./bare_handler.ts";

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("find a free port: no address");
  return address.port;
}

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

/**
 * Writes the files and the settings of an nginx that sends them from `folder` (memory: /dev/shm); the command to start
 * it, and its port.
 */
export async function prepareNginx(
  folder: string,
  answers: BareAnswers,
): Promise<{ readonly command: readonly string[]; readonly port: number }> {
  for (const [path, { sizeBytes }] of Object.entries(answers)) {
    const file = join(folder, "files", path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, new Uint8Array(sizeBytes).fill(120));
  }
  const port = await freePort();
  const configPath = join(folder, "nginx.conf");
  writeFileSync(configPath, configText(folder, port));
  return { command: ["nginx", "-p", folder, "-c", configPath, "-e", "stderr"], port };
}
