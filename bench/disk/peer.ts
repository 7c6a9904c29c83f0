import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { freePorts } from "../../test/e2e/tools/free_ports.ts";
import { ToolProcess } from "../../test/e2e/tools/tool_process.ts";
import { untilOpen } from "../support/port.ts";

/** A server that is compared with. */
export interface Peer {
  /** The name of the peer, or why there is none. */
  readonly name: string;
  /** undefined: there is none. */
  readonly port: number | undefined;
  readonly pid: number;
  /** The prefix of its objects' paths; 64 hex digits follow. */
  readonly path: string;
  /** True if it is file_per_object.go in place of bazel-remote. */
  readonly isStandIn: boolean;
  stop(): void;
}

const STAND_IN = new URL("file_per_object.go", import.meta.url).pathname;

/**
 * bazel-remote if it is on the PATH, else file_per_object.go, which stores a synced file for each object too; the name
 * says which. `prefix`: a command before its own, such as `taskset -c 0`.
 */
export async function startPeer(folder: string, prefix: readonly string[] = []): Promise<Peer> {
  mkdirSync(folder, { recursive: true });
  const [port = 0] = await freePorts(1);
  const address = `127.0.0.1:${port}`;
  if (isThere("bazel-remote")) {
    const place = ["--dir", folder, "--max_size", "10", "--http_address", address, "--grpc_address", "none"];
    const flags = ["--disable_http_ac_validation", "--access_log_level", "none"];
    const command = [...prefix, "bazel-remote", ...place, ...flags];
    return await listening(command, { name: "bazel-remote", port, isStandIn: false });
  }
  console.error(
    "find bazel-remote: IT IS NOT ON THE PATH, SO NOTHING IS COMPARED WITH IT; a stand-in in Go takes its place if there is Go",
  );
  if (!isThere("go")) {
    const name = "neither bazel-remote nor go is on the PATH";
    return { name, port: undefined, pid: 0, path: "", isStandIn: false, stop() {} };
  }
  const binary = `${folder}/stand-in`;
  const { status, stderr } = spawnSync("go", ["build", "-o", binary, STAND_IN], { encoding: "utf8" });
  if (status !== 0) throw new Error(`build stand-in for bazel-remote: ${stderr}`);
  const name = "a stand-in for bazel-remote (Go; a synced file each)";
  return await listening([...prefix, binary, address, `${folder}/objects`], { name, port, isStandIn: true });
}

function isThere(command: string): boolean {
  return spawnSync("sh", ["-c", `command -v ${command}`], { stdio: "ignore" }).status === 0;
}

async function listening(
  [command = "", ...args]: readonly string[],
  peer: Pick<Peer, "name" | "isStandIn"> & { readonly port: number },
): Promise<Peer> {
  const server = new ToolProcess(command, args);
  await untilOpen(peer.port, peer.name);
  return { ...peer, pid: server.pid, path: "/ac/", stop: () => void server.kill() };
}
