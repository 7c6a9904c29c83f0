import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { startCluster } from "../../src/compose/cluster.ts";
import { nextTurn } from "../../src/core/clock.ts";
import { authority, certificates } from "../support/certificates/mod.ts";
import type { ServerOptions } from "../../src/compose/server.ts";
import { serverOptions, TWO_WORKERS } from "./server_options.ts";

const folder = mkdtempSync(join(tmpdir(), "vitrine-tls-"));
const [certFile, keyFile] = [join(folder, "tls.pem"), join(folder, "tls.key")];
const errors: unknown[] = [];

function write({ cert, key }: { readonly cert?: string; readonly key?: string }): void {
  for (const [path, text] of [[certFile, cert], [keyFile, key]] as const) {
    if (text === undefined) continue;
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  }
}

function options(): ServerOptions {
  return serverOptions([
    ...TWO_WORKERS,
    ...["--l1-size", "8MiB", "--l2", "none", "--observability", "off", "--tls-cert", certFile, "--tls-key", keyFile],
  ], { errors });
}

write(certificates.first);
const cluster = await startCluster(options());
const [service, admin] = [cluster.address.port, cluster.adminAddress.port];

afterAll(async () => {
  await cluster.stop();
  rmSync(folder, { recursive: true });
});

/** A connection, the name in its certificate, and what came over it. */
class Client {
  readonly socket: TLSSocket;
  #text = "";
  #wake = () => {};

  private constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.on("data", (data: Uint8Array) => {
      this.#text += Buffer.from(data).toString("latin1");
      this.#wake();
    });
    socket.on("error", () => {});
    socket.on("close", () => this.#wake());
  }

  static open(port: number): Promise<Client> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port, ca: authority, servername: "localhost" }, () => {
        socket.off("error", reject);
        resolve(new Client(socket));
      });
      socket.on("error", reject);
    });
  }

  get name(): string {
    return String(this.socket.getPeerCertificate().subject.CN);
  }

  /** Sends bytes and waits for a text in what comes back. */
  async send(bytes: string, awaited: string): Promise<string> {
    this.socket.write(bytes);
    while (!this.#text.includes(awaited)) {
      if (this.socket.destroyed) throw new Error(`read from server: closed after ${this.#text}`);
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const text = this.#text;
    this.#text = "";
    return text;
  }
}

const head = (method: string, path: string, fields = "") =>
  `${method} ${path} HTTP/1.1\r\nhost: localhost\r\n${fields}\r\n`;

/**
 * The name in the certificate of a new connection, which is closed. A connection that waits to be accepted when its
 * listener is closed is reset by the kernel, unless net.ipv4.tcp_migrate_req is set (docs/RUNTIMES.md).
 */
async function nameAt(port: number): Promise<string> {
  const client = await Client.open(port).catch(() => undefined);
  if (client === undefined) return nameAt(port);
  const { name } = client;
  client.socket.destroy();
  return name;
}

/** The names at which both ports answer now, over connections that reach each worker with near certainty. */
async function names(): Promise<ReadonlySet<string>> {
  const ports = [admin, ...Array.from({ length: 8 }, () => service)];
  return new Set(await Promise.all(ports.map(nameAt)));
}

test("both ports serve HTTPS, workers reach main, and nobody gets in without TLS", async () => {
  for (const [port, path] of [[service, "/status"], [service, "/healthz"], [admin, "/status"]] as const) {
    const client = await Client.open(port);
    expect([path, (await client.send(head("GET", path), "\r\n\r\n")).slice(0, 12)]).toEqual([path, "HTTP/1.1 200"]);
    client.socket.destroy();
    await expect(fetch(`http://127.0.0.1:${port}${path}`)).rejects.toThrow();
  }
});

test("a key is taken as it was sent over TLS too", async () => {
  const client = await Client.open(service);
  const put = await client.send(`${head("PUT", "/v1/objects/a/../b", "content-length: 1\r\n")}x`, "bad-key");
  expect(put).toContain("400");
  await client.send(`${head("PUT", "/v1/objects/a%2F..%2Fb", "content-length: 1\r\n")}x`, "201");
  expect(await client.send(head("GET", "/v1/objects/a%2F..%2Fb"), "x")).toContain("200");
  client.socket.destroy();
});

test("a renewed certificate is that of new connections, and a request in progress goes on", async () => {
  const busy = await Client.open(service);
  await busy.send(head("PUT", "/v1/objects/k", "content-length: 2\r\nexpect: 100-continue\r\n"), "100");
  busy.socket.write("a");
  expect(await names()).toEqual(new Set(["first"]));
  write(certificates.second);
  while ((await names()).has("first")) await nextTurn();
  expect(await names()).toEqual(new Set(["second"]));
  expect(await busy.send("b", "\r\n\r\n")).toContain("201");
  busy.socket.destroy();
});

test("files that cannot be used leave the certificate as it is, and are reported once", async () => {
  const { first, second } = certificates;
  const half = first.cert.slice(0, first.cert.length / 2);
  for (
    const [files, reason] of [
      [first, "is not that"],
      [{ cert: half, key: first.key }, "no certificate"],
      [{ cert: second.cert + half, key: second.key }, "cut off"],
      [{ cert: first.cert.replace(/M/g, "A"), key: first.key }, "cannot be parsed"],
      [{ cert: "", key: second.key }, "no certificate"],
    ] as const
  ) {
    errors.length = 0;
    write(files === first ? { cert: first.cert } : files);
    while (errors.length === 0) await nextTurn();
    expect(String(errors[0])).toContain(reason);
    expect(String(errors[0])).not.toContain("PRIVATE");
    expect(await names()).toEqual(new Set(["second"]));
    expect(errors.length).toBe(1);
  }
  write(first);
  while ((await names()).has("second")) await nextTurn();
});

test("a server does not start with a certificate that cannot be used", async () => {
  write({ cert: certificates.second.cert });
  await expect(startCluster(options())).rejects.toThrow("the key is not that of the certificate");
  rmSync(keyFile);
  await expect(startCluster(options())).rejects.toThrow("read certificate from");
});
