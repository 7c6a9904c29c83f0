/**
 * The bare handler on the runtime that runs this file; the answers come as JSON in the first argument. Prints its
 * address.
 */
import process from "node:process";
import { type BareAnswers, bareHandler } from "./bare_handler.ts";

interface ServeOptions {
  readonly hostname: string;
  readonly port: number;
}
type Handler = ReturnType<typeof bareHandler>;
declare const Bun: {
  serve(
    options: ServeOptions & { readonly fetch: Handler; readonly error: () => Response },
  ): { readonly port: number };
};
declare const Deno: {
  serve(
    options: ServeOptions & { readonly onListen: () => void; readonly onError: () => Response },
    handler: Handler,
  ): { readonly addr: { readonly port: number } };
};

const answers: BareAnswers = JSON.parse(process.argv[2] ?? "{}");
const options = { hostname: "127.0.0.1", port: 0 };
const handler = bareHandler(answers);
// Bodies that wrk breaks off at the end of its time are no news.
const failed = () => new Response(null, { status: 500 });
const port = "Bun" in globalThis
  ? Bun.serve({ ...options, fetch: handler, error: failed }).port
  : Deno.serve({ ...options, onListen() {}, onError: failed }, handler).addr.port;
console.log(`http://127.0.0.1:${port}`);
