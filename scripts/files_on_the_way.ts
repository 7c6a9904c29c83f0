/**
 * Counts the files of ours that run for a small GET hit, for a PUT and for a scrape: `bun run way [--names]`.
 * The server is one isolate on Deno, whose inspector says which functions have run (precise coverage).
 */
import { spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

interface Coverage {
  readonly result: readonly { readonly url: string; readonly functions: readonly Ran[] }[];
}

interface Ran {
  readonly functionName: string;
  readonly ranges: readonly { readonly count: number }[];
}

async function serve(): Promise<void> {
  const { loadConfig } = await import("../src/config.ts");
  const { startSingle } = await import("../src/compose/single.ts");
  const loaded = loadConfig({
    args: ["--port", "0", "--l1-size", "32MiB", "--l2", `file://${mkdtempSync(join(tmpdir(), "vitrine-way-"))}`],
    env: {},
    readFile: () => undefined,
    memoryLimitBytes: 2 ** 30,
    cpuCount: 1,
    version: "0",
  });
  if (!("config" in loaded)) throw new Error(loaded.text);
  const server = await startSingle({ config: loaded.config, version: "0", env: {}, reportError: console.error });
  console.log(`port ${server.address.port}`);
}

/** Sends commands to the inspector and waits for their results. */
async function inspect(url: string): Promise<(method: string, params?: object) => Promise<unknown>> {
  const socket = new WebSocket(url);
  const waiting = new Map<number, (result: unknown) => void>();
  socket.addEventListener("message", ({ data }) => {
    const { id, result } = JSON.parse(String(data));
    waiting.get(id)?.(result);
  });
  await new Promise((resolve) => socket.addEventListener("open", resolve));
  let last = 0;
  return (method, params = {}) =>
    new Promise((resolve) => {
      last += 1;
      waiting.set(last, resolve);
      socket.send(JSON.stringify({ id: last, method, params }));
    });
}

function filesOf({ result }: Coverage): readonly string[] {
  const root = new URL("../", import.meta.url).href;
  return result
    .filter(({ url, functions }) =>
      url.startsWith(root) && !url.includes("node_modules") &&
      functions.some(({ functionName, ranges }) => functionName !== "" && (ranges[0]?.count ?? 0) > 0)
    )
    .map(({ url }) => url.slice(root.length))
    .toSorted();
}

async function count(): Promise<void> {
  const child = spawn("deno", ["run", "--allow-all", "--inspect=127.0.0.1:0", import.meta.filename, "serve"]);
  let output = "";
  const ready = new Promise<void>((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Uint8Array) => {
        output += new TextDecoder().decode(chunk);
        if (/ws:\/\/\S+/.test(output) && /port \d+/.test(output)) resolve();
      });
    }
  });
  try {
    await ready;
    const send = await inspect(/ws:\/\/\S+/.exec(output)?.[0] ?? "");
    const url = `http://127.0.0.1:${/port (\d+)/.exec(output)?.[1]}`;
    const object = `${url}/v1/objects/a`;
    const put = () => fetch(object, { method: "PUT", body: "x".repeat(4096) }).then((answer) => answer.text());
    const get = () => fetch(object).then((answer) => answer.text());
    const scrape = () => fetch(`${url}/metrics`).then((answer) => answer.text());
    await put();
    await get();
    await scrape();
    await send("Profiler.enable");
    await send("Profiler.startPreciseCoverage", { callCount: true, detailed: false });
    const take = async (): Promise<readonly string[]> => {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the inspector's protocol says
      return filesOf(await send("Profiler.takePreciseCoverage") as Coverage);
    };
    for (const [name, run] of [["GET", get], ["PUT", put], ["scrape", scrape]] as const) {
      let files: readonly string[] = [];
      // The least of some tries: timers of the server may run meanwhile.
      for (let tries = 0; tries < 15; tries += 1) {
        await take();
        await run();
        const taken = await take();
        if (tries === 0 || taken.length < files.length) files = taken;
      }
      console.log(`${name}: ${files.length}`);
      if (process.argv[2] === "--names") console.log(files.map((file) => `  ${file}`).join("\n"));
    }
  } finally {
    child.kill("SIGKILL");
  }
}

await (process.argv[2] === "serve" ? serve() : count());
