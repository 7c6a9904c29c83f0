import { ServerProcess } from "../support/server_process.ts";
import { until } from "../support/until.ts";
import type { HostileCase } from "./hostile_case.ts";

/** Of a server that cannot print which one it took. */
const PORT = "17461";

/** The server's output goes to a full disk: lines are lost, nothing else is. */
export const fullOutput: HostileCase = {
  name: "full_output",
  async run({ runtime, folder, checks }) {
    for (const full of ["1", "2"] as const) {
      const isOut = full === "1";
      const server = await ServerProcess.start({
        runtime,
        flags: { workers: "1", "l1-size": "16MiB", l2: `file://${folder}/tier${full}`, port: isOut ? PORT : "0" },
        prefix: [
          "sh",
          "-c",
          isOut ? `echo http://127.0.0.1:${PORT}; exec "$@" >/dev/full` : `exec "$@" 2>/dev/full`,
          "sh",
        ],
      });
      const object = `http://127.0.0.1:${server.address.port}/v1/objects/k`;
      // A server whose standard output is full cannot say that it listens.
      const put = () => fetch(object, { method: "PUT", body: "kept" }).then(({ status }) => status, () => 0);
      const status = await until(put, (answer) => answer !== 0, { timeoutMs: 20_000 });
      checks.equal(`descriptor ${full} full: PUT`, { actual: status, expected: 201 });
      checks.equal(`descriptor ${full} full: exit code of the stop`, { actual: await server.stop(), expected: 0 });
    }
  },
};
