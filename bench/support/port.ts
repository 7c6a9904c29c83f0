import { connect } from "node:net";
import { until } from "../../test/e2e/support/until.ts";

const timeoutMs = 10_000;

/** Resolves when the port takes connections; throws with the server's name if it does not. */
export async function untilOpen(port: number, name: string): Promise<void> {
  const isOpen = await until(() => accepts(port), (answer) => answer, { timeoutMs });
  if (!isOpen) throw new Error(`start ${name}: port ${port} is not open`);
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.once("connect", () => {
      resolve(true);
      socket.destroy();
    }).once("error", () => resolve(false));
    socket.once("close", () => resolve(false)).setTimeout(500, () => socket.destroy());
  });
}
