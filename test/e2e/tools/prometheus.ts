import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import * as v from "valibot";
import { untilAnswers } from "./answers.ts";
import { unpackedPackage } from "./debian.ts";
import { freePorts } from "./free_ports.ts";
import { ToolProcess } from "./tool_process.ts";

const samplePair = v.pipe(
  v.tuple([v.number(), v.string()]),
  v.transform(([, text]) => Number(text.replace("Inf", "Infinity"))),
);
const answerSchema = v.object({
  status: v.literal("success"),
  data: v.variant("resultType", [
    v.object({
      resultType: v.literal("vector"),
      result: v.array(v.object({ metric: v.record(v.string(), v.string()), value: samplePair })),
    }),
    v.object({
      resultType: v.literal("matrix"),
      result: v.array(v.object({ metric: v.record(v.string(), v.string()), values: v.array(samplePair) })),
    }),
    v.object({ resultType: v.literal("scalar"), result: samplePair }),
  ]),
});

/** One series of an answer with its samples, oldest first; an instant query gives one sample. */
export interface PromSeries {
  readonly labels: Readonly<Record<string, string>>;
  readonly values: readonly number[];
}

/** Job names of the two ways to get the same numbers; the pushed one is the server's service.name. */
export const jobs = { pulled: "pulled", pushed: "vitrine" } as const;

/** The stack's own configuration, scraping every second and both ways at once. */
function configText(
  targets: { readonly server: string; readonly collector: string; readonly tokenFile: string },
): string {
  const text = readFileSync("deploy/prometheus/prometheus.yml", "utf8");
  return text.replaceAll(/^( {2,}\w+_interval): \S+$/gm, "$1: 1s")
    .replace("rules/*.yml", `${resolve("deploy/prometheus/rules")}/*.yml`)
    .replaceAll(/^ {2}# (- job_name:.*| {2}.*)$/gm, "  $1")
    .replace("job_name: vitrine", `job_name: ${jobs.pulled}`)
    .replace("/etc/prometheus/vitrine_token", targets.tokenFile)
    .replace("vitrine:9090", targets.server)
    .replace("collector:8889", targets.collector);
}

/** The path of one of Debian's Prometheus programs. */
export function prometheusProgram(name: "prometheus" | "promtool"): string {
  return join(unpackedPackage("prometheus"), "usr/bin", name);
}

/** A real Prometheus that scrapes a server and the collector it pushes to, with the stack's rules. */
export class Prometheus {
  readonly process: ToolProcess;
  readonly #url: string;

  private constructor(process: ToolProcess, url: string) {
    this.process = process;
    this.#url = url;
  }

  /** `folder`: an empty folder for its data. Resolves when it is ready. */
  static async start(
    folder: string,
    targets: { readonly server: string; readonly collector: string },
  ): Promise<Prometheus> {
    const [port = 0] = await freePorts(1);
    const config = join(folder, "prometheus.yml");
    // A server without tokens asks for none and takes any.
    const tokenFile = join(folder, "token");
    writeFileSync(tokenFile, "unused");
    writeFileSync(config, configText({ ...targets, tokenFile }));
    const process = new ToolProcess(prometheusProgram("prometheus"), [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ]);
    const url = `http://127.0.0.1:${port}`;
    await untilAnswers(`${url}/-/ready`, process);
    return new Prometheus(process, url);
  }

  /** Asks PromQL. Throws if the expression is refused. */
  async query(expr: string): Promise<readonly PromSeries[]> {
    const response = await fetch(`${this.#url}/api/v1/query`, {
      method: "POST",
      body: new URLSearchParams({ query: expr }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`query ${expr}: ${text}`);
    const { data } = v.parse(answerSchema, JSON.parse(text));
    if (data.resultType === "scalar") return [{ labels: {}, values: [data.result] }];
    if (data.resultType === "vector") {
      return data.result.map(({ metric, value }) => ({ labels: metric, values: [value] }));
    }
    return data.result.map(({ metric, values }) => ({ labels: metric, values }));
  }
}
