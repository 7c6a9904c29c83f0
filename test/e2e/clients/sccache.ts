import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { sccacheProgram } from "../tools/build_clients.ts";
import { ensureInstalled } from "../tools/debian.ts";
import { freePorts } from "../tools/free_ports.ts";
import { C_SOURCES, writeCSources } from "./c_sources.ts";
import type { Target } from "./target.ts";

/** What sccache counts of one run. */
interface Stats {
  readonly hits: number;
  readonly misses: number;
  readonly writeErrors: number;
  readonly readErrors: number;
}

/** sccache by WebDAV, with a server of its own for each run. */
export async function sccache(target: Target): Promise<void> {
  const { checks } = target;
  ensureInstalled({ gcc: "gcc" });
  writeCSources(target);
  const compile = async (
    token = target.token,
  ): Promise<{ readonly text: string; readonly stats: Stats; readonly objects: number }> => {
    const [port = 0] = await freePorts(1);
    const env = {
      SCCACHE_WEBDAV_ENDPOINT: `${target.url}/dav`,
      SCCACHE_WEBDAV_KEY_PREFIX: "sccache",
      SCCACHE_WEBDAV_TOKEN: token,
      SCCACHE_SERVER_PORT: String(port),
      SCCACHE_CONF: "/nonexistent",
    };
    for (const name of C_SOURCES) rmSync(join(target.folder, `${name}.o`), { force: true });
    const program = sccacheProgram();
    const text = [target.build(program, ["--start-server"], env).text];
    for (const name of C_SOURCES) {
      text.push(target.build(program, ["gcc", "-c", `${name}.c`, "-o", `${name}.o`], env).text);
    }
    // It stores in the background.
    const shown = target.build(program, ["--show-stats"], env).text;
    target.build(program, ["--stop-server"], env);
    const stat = (name: string) => Number(new RegExp(`^${name} +(\\d+)$`, "m").exec(shown)?.[1]);
    return {
      text: text.join(""),
      stats: {
        hits: stat("Cache hits"),
        misses: stat("Cache misses"),
        writeErrors: stat("Cache write errors"),
        readErrors: stat("Cache read errors"),
      },
      objects: C_SOURCES.filter((name) => existsSync(join(target.folder, `${name}.o`))).length,
    };
  };
  const step = async (
    name: string,
    wanted: { readonly hits: number; readonly misses: number; readonly requests: object },
  ) => {
    let ran: Awaited<ReturnType<typeof compile>> | undefined;
    const requests = await target.requests("/dav/", async () => ran = await compile());
    const { hits, misses } = wanted;
    checks.equal(`sccache: ${name}`, {
      actual: { ...ran?.stats, objects: ran?.objects, requests },
      expected: { hits, misses, writeErrors: 0, readErrors: 0, objects: 3, requests: wanted.requests },
    });
  };
  // At each start it reads and writes one file more.
  const cold = { "GET /dav/{key} 404": 4, "PUT /dav/{key} 201": 4, "_OTHER /dav/{key} 207": 4 };
  const warm = { "GET /dav/{key} 200": 4, "PUT /dav/{key} 200": 1, "_OTHER /dav/{key} 207": 1 };
  await step("a cold build stores", { hits: 0, misses: 3, requests: cold });
  await step("a warm build hits", { hits: 3, misses: 0, requests: warm });
  checks.equal("sccache: the entries are below its prefix", { actual: await target.remove("sccache/"), expected: 4 });
  await step("what is missing is compiled and stored", { hits: 0, misses: 3, requests: cold });
  checks.equal("sccache: the entries are damaged", { actual: await target.damage("sccache/"), expected: 4 });
  await step("what is damaged is compiled and stored", { hits: 0, misses: 3, requests: cold });
  await step("what was stored again is hit", { hits: 3, misses: 0, requests: warm });
  // It does not start with one, and says why.
  const refused = await compile("wrong");
  checks.that("sccache: a wrong token is told", refused.text.includes("check token"), () => refused.text);
}
