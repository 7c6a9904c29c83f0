import { mkdirSync, writeFileSync } from "node:fs";
import { RawSocket } from "../../http/raw_socket.ts";
import { Client } from "../support/http/client.ts";
import { objectPath } from "../support/keys.ts";
import { Ledger } from "../support/ledger.ts";
import type { SuiteRun } from "../support/run_suite.ts";
import { ServerProcess } from "../support/server_process.ts";
import { until } from "../support/until.ts";
import { ensureInstalled } from "../tools/debian.ts";
import { freePorts } from "../tools/free_ports.ts";
import { ToolProcess } from "../tools/tool_process.ts";
import type { HostileCase } from "./hostile_case.ts";

const mib = 1024 * 1024;
/** Sizes of uploads, each with the number of tries. */
const tries = [[1024, 50], [mib, 50], [64 * mib, 3]] as const;
const refusals = { "If-None-Match: *": 412, "Vitrine-Durability: never": 400 };

/**
 * nginx as its manual begins: HTTP/1.0 to the server, each body read before it is passed on. And once without reading
 * it before.
 */
function configuration(
  folder: string,
  { upstream, ports }: { readonly upstream: number; readonly ports: readonly number[] },
): string {
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) =>
    `${name}_temp_path ${folder}/${name};`
  );
  const servers = ports.map((port, i) =>
    `server { listen 127.0.0.1:${port}; location / { proxy_pass http://127.0.0.1:${upstream}; proxy_request_buffering ${
      i === 0 ? "on" : "off"
    }; } }`
  );
  return `user root; daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log; events {}
http { access_log off; client_max_body_size 0; ${paths.join(" ")} ${servers.join("\n")} }`;
}

async function statusOf(port: number, field: string, bytes: number): Promise<number> {
  const head = `PUT ${objectPath("kept")} HTTP/1.1\r\nHost: localhost\r\n${field}\r\nContent-Length: ${bytes}\r\n\r\n`;
  const socket = new RawSocket(port).write(head).write(new Uint8Array(bytes));
  const status = await socket.response().then((answer) => answer.status, () => 0);
  socket.destroy();
  return status;
}

/** Uploads that are refused, through a plain proxy: the client gets our status, not the proxy's 502. */
async function run({ runtime, folder, checks }: SuiteRun): Promise<void> {
  ensureInstalled({ nginx: "nginx-light" });
  const server = await ServerProcess.start({ runtime, flags: { l2: "none", "l1-size": "64MiB", workers: "1" } });
  const client = new Client(server.address, new Ledger());
  await client.request({ method: "PUT", path: objectPath("kept"), body: new Uint8Array(10) });
  client.close();
  const ports = await freePorts(2);
  mkdirSync(`${folder}/nginx`);
  writeFileSync(`${folder}/nginx.conf`, configuration(`${folder}/nginx`, { upstream: server.address.port, ports }));
  const nginx = new ToolProcess("nginx", ["-c", `${folder}/nginx.conf`]);
  const [first = 0] = ports;
  await until(() => statusOf(first, "X-Ready: 1", 1), (status) => status === 200, { timeoutMs: 10_000 });
  for (const port of [server.address.port, ...ports]) {
    for (const [bytes, times] of tries) {
      for (const [field, expected] of Object.entries(refusals)) {
        const close = port === server.address.port ? "\r\nConnection: close" : "";
        const seen = new Map<number, number>();
        for (let time = 0; time < times; time++) {
          const status = await statusOf(port, field + close, bytes);
          seen.set(status, (seen.get(status) ?? 0) + 1);
        }
        const way =
          ["directly", "through nginx", "through nginx unbuffered"][[server.address.port, ...ports].indexOf(port)];
        checks.equal(`an upload of ${bytes} bytes ${way} with ${field}`, {
          actual: [...seen],
          expected: [[expected, times]],
        });
      }
    }
  }
  checks.equal("nginx stops", { actual: await nginx.stop(), expected: 0 });
  checks.equal("the server stops gracefully", { actual: await server.stop(), expected: 0 });
}

/** Refused uploads, sent directly and through nginx. */
export const framing: HostileCase = { name: "framing", run };
