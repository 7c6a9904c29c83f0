import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { until } from "../support/until.ts";
import { cacheFolder } from "./cache_folder.ts";
import { freePorts } from "./free_ports.ts";
import { run } from "./run.ts";
import { ToolProcess } from "./tool_process.ts";

const versityVersion = "v1.8.0";
const motoVersion = "5.2.5";
const startTimeoutMs = 30_000;
const bucket = "vitrine-test";

/** The keys of the servers' root user. */
export const s3Keys = { AWS_ACCESS_KEY_ID: "vitrine", AWS_SECRET_ACCESS_KEY: "not-a-secret" } as const;

/** The path of Versity's S3 gateway, which serves a folder; built on the first call (two minutes) and cached. */
function versityProgram(): string {
  const folder = cacheFolder("versitygw");
  const program = join(folder, versityVersion);
  if (existsSync(program)) return program;
  console.log(`building versitygw ${versityVersion}`);
  const work = cacheFolder(`versitygw/${versityVersion}.new`);
  run("go", ["install", `github.com/versity/versitygw/cmd/versitygw@${versityVersion}`], {
    env: { GOBIN: work, CGO_ENABLED: "0" },
  });
  renameSync(join(work, "versitygw"), program);
  rmSync(work, { recursive: true });
  return program;
}

/** A real S3 server over a folder, on a port of the loopback interface, with one bucket. */
export class S3Server {
  readonly port: number;
  readonly #folder: string;
  #process: ToolProcess;

  private constructor(process: ToolProcess, { port, folder }: { readonly port: number; readonly folder: string }) {
    this.#process = process;
    this.port = port;
    this.#folder = folder;
  }

  /** `folder`: for its data, made if it is not there. Resolves when it answers. */
  static async start(folder: string): Promise<S3Server> {
    mkdirSync(join(folder, bucket), { recursive: true });
    const [port = 0] = await freePorts(1);
    const server = new S3Server(spawnVersity(port, folder), { port, folder });
    await server.#untilAnswers();
    return server;
  }

  /** A tier's URL in the bucket; `port`: of a proxy in front of it. */
  url(prefix: string, port: number = this.port): string {
    return `s3://${bucket}/${prefix}?endpoint=http://127.0.0.1:${port}`;
  }

  /** The folder of the bucket: its files are the objects. */
  get bucketFolder(): string {
    return join(this.#folder, bucket);
  }

  /** The paths of all objects' files, without those of unfinished uploads. */
  files(): readonly string[] {
    return readdirSync(this.bucketFolder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => !path.includes("/.sgwtmp/"));
  }

  /** Starts it again, on the same port and folder, after `kill`. */
  async restart(): Promise<void> {
    this.#process = spawnVersity(this.port, this.#folder);
    await this.#untilAnswers();
  }

  async kill(): Promise<void> {
    await this.#process.kill();
  }

  pause(): void {
    this.#process.pause();
  }

  resume(): void {
    this.#process.resume();
  }

  async #untilAnswers(): Promise<void> {
    await untilAnswers(this.#process, this.port);
  }
}

function spawnVersity(port: number, folder: string): ToolProcess {
  const keys = ["--access", s3Keys.AWS_ACCESS_KEY_ID, "--secret", s3Keys.AWS_SECRET_ACCESS_KEY];
  const flags = ["--port", `127.0.0.1:${port}`, "--keep-alive", "--quiet"];
  return new ToolProcess(versityProgram(), [...keys, ...flags, "posix", folder]);
}

/** Starts moto, which acts like AWS's S3, in memory; `url` makes a tier's URL in its bucket. */
export async function startMoto(): Promise<{ url(prefix: string): string; kill(): Promise<void> }> {
  const folder = join(cacheFolder("moto"), motoVersion);
  if (!existsSync(folder)) {
    console.log(`installing moto ${motoVersion}`);
    const work = `${folder}.new`;
    run("python3", ["-m", "venv", work]);
    run(join(work, "bin/pip"), ["install", "--quiet", `moto[s3,server]==${motoVersion}`]);
    renameSync(work, folder);
  }
  const [port = 0] = await freePorts(1);
  // The scripts of the environment name the folder that it was made in.
  const server = new ToolProcess(join(folder, "bin/python"), ["-m", "moto.server", "-H", "127.0.0.1", "-p", `${port}`]);
  await untilAnswers(server, port);
  const made = await fetch(`http://127.0.0.1:${port}/${bucket}`, { method: "PUT" });
  if (!made.ok) throw new Error(`make bucket: ${await made.text()}`);
  return {
    url: (prefix) => `s3://${bucket}/${prefix}?endpoint=http://127.0.0.1:${port}`,
    kill: () => server.kill(),
  };
}

async function untilAnswers(server: ToolProcess, port: number): Promise<void> {
  const ask = async (): Promise<boolean> => {
    if (server.hasEnded) return true;
    return await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(1000) }).then(
      () => true,
      () => false,
    );
  };
  const answers = await until(ask, (isOver) => isOver, { timeoutMs: startTimeoutMs });
  if (!answers || server.hasEnded) throw new Error(`start S3 server: ${server.output}`);
}

/** Gives the keys to this process and to those that it starts. */
export function useS3Keys(): void {
  Object.assign(process.env, s3Keys);
}
