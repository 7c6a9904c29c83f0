import { once } from "node:events";
import { createServer, type Server } from "node:http";

/** The stranger's own web site, on a port of this machine: an empty page, and what stored programs told it. */
export class StrangersSite {
  readonly port: number;
  readonly #server: Server;
  readonly #told: readonly string[];

  private constructor(server: Server, port: number, told: readonly string[]) {
    this.#server = server;
    this.port = port;
    this.#told = told;
  }

  /** `isOpen`: it answers as a server that lets every page do everything. */
  static async start({ isOpen = false } = {}): Promise<StrangersSite> {
    const told: string[] = [];
    const server = createServer((request, response) => {
      if (request.url === "/ran") told.push(request.headers.referer ?? "somewhere");
      if (isOpen) {
        response.setHeader("access-control-allow-origin", request.headers.origin ?? "*");
        response.setHeader("access-control-allow-credentials", "true");
        response.setHeader("access-control-allow-methods", "GET, HEAD, PUT, POST, PATCH, DELETE");
        response.setHeader("access-control-allow-headers", "content-type, x-any, authorization");
      }
      response.setHeader("content-type", request.url?.endsWith("program") === true ? "text/javascript" : "text/html");
      response.end(request.url?.endsWith("program") === true ? "window.ranStored = true" : "<!doctype html><body>");
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    return new StrangersSite(server, typeof address === "object" && address !== null ? address.port : 0, told);
  }

  /** Where stored programs have run. */
  get told(): readonly string[] {
    return this.#told;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
