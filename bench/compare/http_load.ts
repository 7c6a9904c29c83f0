import { cpuSeconds } from "../support/cpu_time.ts";
import { runWrk } from "../support/wrk.ts";
import type { Contender, Load } from "./contender.ts";

/** The core of the load generators. */
export const CLIENT_CORE = 1;

const mib = 1024 ** 2;

/** A server that wrk speaks to. `pathOf`: the path of an object there (default: as at Vitrine). */
export function overHttp(
  { port, pid, authorization, pathOf = (path) => path }: {
    readonly port: number;
    /** The process whose processor time counts. */
    readonly pid: number;
    readonly authorization?: string | undefined;
    readonly pathOf?: (path: string) => string;
  },
): Contender {
  return {
    async measure({ method, path, sizeBytes, keys, connections, seconds }: Load) {
      const sendBytes = method === "PUT" ? sizeBytes : 0;
      const load = { port, method, path: pathOf(path), keys, sendBytes, connections, seconds, authorization };
      const before = cpuSeconds(pid);
      const { seconds: took, requests, requestsPerSecond, bytesPerSecond } = await runWrk(load, CLIENT_CORE);
      const cpuUs = (cpuSeconds(pid) - before) * 1e6;
      if (method === "PUT" || sizeBytes < mib) return { rate: requestsPerSecond, cpuUs: cpuUs / requests };
      // Whole answers are too coarse a count of few large ones.
      const rate = bytesPerSecond / sizeBytes;
      return { rate, cpuUs: cpuUs / (rate * took) };
    },
  };
}
