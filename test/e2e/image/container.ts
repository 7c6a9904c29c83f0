import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { untilAnswers } from "../tools/answers.ts";
import { ToolProcess } from "../tools/tool_process.ts";
import { run } from "../tools/run.ts";
import { buildah, type ImageConfig, imageConfig, storeArgs } from "./buildah.ts";

/** What a container is started with. */
export interface ContainerOptions {
  readonly image: string;
  /** A folder of this machine, mounted where the image has its volume. */
  readonly volume: string;
  readonly env: Readonly<Record<string, string>>;
  /** The machine's network is the container's. */
  readonly port: number;
  readonly adminPort: number;
}

const volumeTarget = "/var/lib/vitrine";

/** Any thread of a process may have started a child. */
function childrenOf(pid: number): readonly number[] {
  const lists = readdirSync(`/proc/${pid}/task`).map((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "utf8")
  );
  return lists.flatMap((list) => list.split(" ").filter(Boolean).map(Number));
}

/** The last of a line of only children: behind the tools that start it, the server. */
function innermost(pid: number): number {
  const [child] = childrenOf(pid);
  return child === undefined ? pid : innermost(child);
}

function envOf({ env, port, adminPort }: ContainerOptions): Readonly<Record<string, string>> {
  return { ...env, VITRINE_PORT: String(port), VITRINE_ADMIN_PORT: String(adminPort) };
}

/** A server that runs out of an image. */
export class Container {
  /** The server's own process, as this machine sees it. */
  readonly pid: number;
  readonly #process: ToolProcess;
  readonly #cleanUp: () => void;

  private constructor(tool: ToolProcess, pid: number, cleanUp: () => void) {
    this.#process = tool;
    this.pid = pid;
    this.#cleanUp = cleanUp;
  }

  /** As `buildah run` runs it: the image's user, folder, variables and entry point. */
  static async start(options: ContainerOptions): Promise<Container> {
    const container = buildah("from", "--pull-never", options.image);
    const { Entrypoint } = imageConfig(options.image);
    const env = Object.entries(envOf(options)).flatMap(([name, value]) => ["--env", `${name}=${value}`]);
    const volume = ["--volume", `${options.volume}:${volumeTarget}`];
    const args = ["run", "--isolation", "chroot", ...env, ...volume, container, "--", ...Entrypoint];
    const cleanUp = () => void buildah("rm", container);
    return await Container.#ready(new ToolProcess("buildah", [...storeArgs(), ...args]), options, cleanUp);
  }

  /**
   * As an engine runs it, the server being process 1 of a process table of its own; no tool stands between it and
   * signals.
   */
  static async startAsProcessOne(options: ContainerOptions): Promise<Container> {
    const container = buildah("from", "--pull-never", options.image);
    const root = buildah("mount", container);
    const config = imageConfig(options.image);
    run("mount", ["--bind", options.volume, `${root}${volumeTarget}`]);
    const tool = new ToolProcess("unshare", [
      ...["--pid", "--fork", "--kill-child", `--mount-proc=${root}/proc`, "--"],
      ...["env", "-i", ...config.Env, ...Object.entries(envOf(options)).map(([name, value]) => `${name}=${value}`)],
      ...["chroot", `--userspec=${config.User}`, root],
      // The shell goes into the image's folder and gives its place to the server.
      ...["/bin/sh", "-c", `cd ${config.WorkingDir} && exec "$@"`, "start", ...config.Entrypoint],
    ]);
    return await Container.#ready(tool, options, () => {
      run("umount", [`${root}${volumeTarget}`]);
      buildah("rm", container);
    });
  }

  static async #ready(tool: ToolProcess, { port }: ContainerOptions, cleanUp: () => void): Promise<Container> {
    try {
      await untilAnswers(`http://127.0.0.1:${port}/readyz`, tool);
    } catch (error) {
      await tool.kill();
      cleanUp();
      throw error;
    }
    return new Container(tool, innermost(tool.pid), cleanUp);
  }

  /** Starts one that gives up: its exit code and what it said. */
  static async startInVain(
    options: ContainerOptions,
  ): Promise<{ readonly code: number | string; readonly output: string }> {
    const container = buildah("from", "--pull-never", options.image);
    const { Entrypoint } = imageConfig(options.image);
    const env = Object.entries(envOf(options)).flatMap(([name, value]) => ["--env", `${name}=${value}`]);
    const args = ["run", "--isolation", "chroot", ...env, container, "--", ...Entrypoint];
    const tool = new ToolProcess("buildah", [...storeArgs(), ...args]);
    const code = await tool.exit;
    buildah("rm", container);
    return { code, output: tool.output };
  }

  /** Sends the server SIGTERM, as engines do; the exit code, or what ended it. */
  async stop(): Promise<number | string> {
    process.kill(this.pid, "SIGTERM");
    const code = await this.#process.exit;
    this.#cleanUp();
    return code;
  }

  /** A field of /proc/…/status, such as Uid or NSpid. */
  statusField(name: string): readonly string[] {
    const text = readFileSync(`/proc/${this.pid}/status`, "utf8");
    return new RegExp(`^${name}:\\s+(.*)$`, "m").exec(text)?.[1]?.split(/\s+/) ?? [];
  }
}

/** Runs the image's health check beside a server; whether it is content. */
export function isHealthy({ image, adminPort }: ContainerOptions): boolean {
  const { Healthcheck: { Test: [kind, ...command] } }: ImageConfig = imageConfig(image);
  if (kind !== "CMD") throw new Error(`health check: not a plain command: ${kind}`);
  const container = buildah("from", "--pull-never", image);
  try {
    buildah("run", "--isolation", "chroot", "--env", `VITRINE_ADMIN_PORT=${adminPort}`, container, "--", ...command);
    return true;
  } catch {
    return false;
  } finally {
    buildah("rm", container);
  }
}
