import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const read = (name: string): string => readFileSync(fileURLToPath(new URL(name, import.meta.url).href), "utf8");

/** The authority that signed the certificates: a hundred years long, for localhost and 127.0.0.1. */
export const authority: string = read("ca.pem");

/** Two certificates and their keys; the common name of each is its name here. */
export const certificates = {
  first: { cert: read("first.pem"), key: read("first.key") },
  second: { cert: read("second.pem"), key: read("second.key") },
};
