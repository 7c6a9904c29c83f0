import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";

/** A TCP proxy on the loopback interface that can hold back, delay and cut. */
export class Proxy {
  readonly #server: Server;
  readonly #target: number;
  readonly #sockets = new Set<Socket>();
  /** Milliseconds that each piece waits, in both directions. */
  delayMs = 0;
  #passed = 0;
  #gate: PromiseWithResolvers<void> | undefined;

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer((client) => this.#join(client));
  }

  /** In front of a port of the loopback interface. */
  static async start(target: number): Promise<Proxy> {
    const proxy = new Proxy(target);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("proxy: not listening");
    return address.port;
  }

  /** Number of pieces that servers have sent and clients have been given. */
  get passed(): number {
    return this.#passed;
  }

  /** From now on what clients send is kept. */
  hold(): void {
    this.#gate ??= Promise.withResolvers<void>();
  }

  /** What was kept goes on. */
  release(): void {
    this.#gate?.resolve();
    this.#gate = undefined;
  }

  /** Cuts all connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  close(): void {
    this.cut();
    this.#server.close();
  }

  #join(client: Socket): void {
    const engine = connect(this.#target, "127.0.0.1");
    for (const socket of [client, engine]) {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        client.destroy();
        engine.destroy();
      });
    }
    let order = Promise.resolve();
    const pass = async (before: Promise<void>, bytes: Uint8Array | string): Promise<void> => {
      await before;
      await this.#gate?.promise;
      if (this.delayMs > 0) await wait(this.delayMs);
      engine.write(bytes);
    };
    client.on("data", (bytes) => {
      order = pass(order, bytes);
    });
    engine.pipe(client);
    engine.on("data", () => (this.#passed += 1));
  }
}
