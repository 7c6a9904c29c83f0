import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { connect } from "node:net";
import process from "node:process";
import { freePorts } from "../../test/e2e/tools/free_ports.ts";
import { until } from "../../test/e2e/support/until.ts";

/** A server that is compared with. */
export interface Peer {
  /** What it is, or why there is none. */
  readonly name: string;
  /** undefined: there is none. */
  readonly port: number | undefined;
  /** What the paths of its objects begin with; 64 hex digits follow. */
  readonly path: string;
  stop(): void;
}

const STAND_IN = new URL("file_per_object.go", import.meta.url).pathname;

/**
 * bazel-remote if it is on the PATH, else file_per_object.go, which stores a synced file for each object too; the name
 * says which.
 */
export async function startPeer(folder: string): Promise<Peer> {
  mkdirSync(folder, { recursive: true });
  const [port = 0] = await freePorts(1);
  if (isThere("bazel-remote")) {
    const flags = [
      "--dir",
      folder,
      "--max_size",
      "10",
      "--http_address",
      `127.0.0.1:${port}`,
      "--grpc_address",
      "none",
    ];
    const child = start("bazel-remote", [...flags, "--disable_http_ac_validation", "--access_log_level", "none"]);
    return await listening(child, { name: "bazel-remote", port, path: "/ac/" });
  }
  console.error(
    "find bazel-remote: IT IS NOT ON THE PATH, SO NOTHING IS COMPARED WITH IT; a stand-in in Go takes its place if there is Go",
  );
  if (!isThere("go")) {
    return { name: "neither bazel-remote nor go is on the PATH", port: undefined, path: "", stop() {} };
  }
  const binary = `${folder}/stand-in`;
  const { status, stderr } = spawnSync("go", ["build", "-o", binary, STAND_IN], { encoding: "utf8" });
  if (status !== 0) throw new Error(`build stand-in for bazel-remote: ${stderr}`);
  const name = "a stand-in for bazel-remote (Go; a synced file each)";
  return await listening(start(binary, [`127.0.0.1:${port}`, `${folder}/objects`]), { name, port, path: "/ac/" });
}

function isThere(command: string): boolean {
  return spawnSync("sh", ["-c", `command -v ${command}`], { stdio: "ignore" }).status === 0;
}

function start(command: string, args: readonly string[]): ChildProcess {
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "inherit"] });
  process.once("exit", () => child.kill("SIGKILL"));
  return child;
}

async function listening(child: ChildProcess, peer: Omit<Peer, "stop"> & { readonly port: number }): Promise<Peer> {
  const isOpen = await until(() => accepts(peer.port), (answer) => answer, { timeoutMs: 10_000 });
  if (!isOpen) throw new Error(`start ${peer.name}: port ${peer.port} is not open`);
  return { ...peer, stop: () => child.kill("SIGKILL") };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("close", () => resolve(false)).setTimeout(500, () => socket.destroy());
  });
}
