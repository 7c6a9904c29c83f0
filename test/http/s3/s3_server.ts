import { AwsClient } from "aws4fetch";
import { newSalt, secretOf } from "../../../src/access/token_set.ts";
import type { TokenEntry, TokenRights } from "../../../src/access/tokens.ts";
import { currentRuntime } from "../../../src/runtime/mod.ts";
import { type MemoryApp, memoryApp } from "../memory_app.ts";
import { RawSocket } from "../raw_socket.ts";

/** The key from which the servers of the tests derive the secrets of key pairs. */
export const SERVER_KEY = "a key of a server in tests, of more than 32 characters";

/** A key pair as a line of a token file, and the credentials that its client has. */
export interface TestPair {
  readonly entry: TokenEntry;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** Makes a key pair; by default of the tenant "" with every right to objects. */
export function testPair(id: string, rights: Partial<TokenRights> = {}): TestPair {
  const salt = newSalt();
  const entry: TokenEntry = {
    id,
    s3: salt,
    scopes: ["read", "write", "delete"],
    tenant: "",
    any_tenant: false,
    prefix: "",
    ...rights,
  };
  return { entry, accessKeyId: id, secretAccessKey: secretOf(SERVER_KEY, id, salt) };
}

/** A server that speaks S3 on a socket. */
export interface S3Server extends MemoryApp {
  readonly port: number;
  readonly fetch: (path: string, init?: RequestInit) => Promise<Response>;
  open(): RawSocket;
  /** Sends a request that is signed with this pair, by aws4fetch and with its options. */
  readonly signed: (pair: TestPair, path: string, init?: Parameters<AwsClient["sign"]>[1]) => Promise<Response>;
  /** The server's time, as signatures have it. */
  time(offsetSeconds?: number): string;
  stop(): Promise<unknown>;
}

/** Starts one on a free port; whoever starts it stops it. */
export function s3Server(options: Parameters<typeof memoryApp>[1] = {}): S3Server {
  const runtime = currentRuntime();
  const made = memoryApp(runtime.createSender({ idleTimeoutSeconds: 60 }), { s3Key: SERVER_KEY, ...options });
  const server = runtime.serve({
    host: "127.0.0.1",
    port: 0,
    reusePort: false,
    idleTimeoutSeconds: 60,
    exactPaths: made.app.exactPaths,
    fetch: made.app.fetch,
    onError: (error) => {
      throw error;
    },
  });
  const { port } = server.address;
  const base = `http://127.0.0.1:${port}`;
  const time = (offsetSeconds = 0) =>
    new Date(made.knobs.clock.nowMs() + offsetSeconds * 1000).toISOString().replaceAll(/[-:]|\.\d+/g, "");
  return {
    ...made,
    port,
    time,
    open: () => new RawSocket(port),
    fetch: (path, init) => fetch(base + path, init),
    async signed({ accessKeyId, secretAccessKey }, path, init = {}) {
      const client = new AwsClient({ accessKeyId, secretAccessKey, service: "s3", region: "us-east-1", retries: 0 });
      const request = await client.sign(base + path, { ...init, aws: { datetime: time(), ...init?.aws } });
      return await fetch(request);
    },
    stop: () => server.stop(),
  };
}

/** Status and code of an error; reads its body. */
export async function s3Refusal(response: Response): Promise<readonly [number, string]> {
  const text = await response.text();
  const code = /<Code>(\w+)<\/Code>/.exec(text)?.[1];
  if (code === undefined) throw new Error(`read error: ${response.status} ${text}`);
  if (!/<RequestId>[0-9A-F]{16}<\/RequestId>/.test(text)) throw new Error(`read error: no request id: ${text}`);
  return [response.status, code];
}

/** The texts of all elements of a name in a document. */
export function texts(xml: string, name: string): readonly string[] {
  return Array.from(xml.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, "g")), ([, text]) => text ?? "");
}
