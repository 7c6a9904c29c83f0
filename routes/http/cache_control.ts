import { VitrineError } from "../../src/core/errors.ts";

/** The most that RFC 9111 1.2.2 asks one to represent: 68 years. */
const MAX_TTL_SECONDS = 2 ** 31;

/**
 * The time to live that the `Cache-Control` of a PUT asks for, in seconds; 0 = for ever. Only `max-age` counts; `no-store` contradicts a PUT
 * and throws bad_request, as does a `max-age` that is no whole number of at least 1 or that comes twice with different values.
 */
export function parseTtl(header: string | null): number {
  if (header === null) return 0;
  const ages = new Set<number>();
  for (const directive of header.split(",")) {
    const [name = "", value] = directive.trim().split("=", 2);
    if (name.toLowerCase() === "no-store") {
      throw new VitrineError("bad_request", "parse Cache-Control: no-store on a PUT");
    }
    if (name.toLowerCase() === "max-age") ages.add(parseAge(value ?? ""));
  }
  if (ages.size > 1) throw new VitrineError("bad_request", `parse Cache-Control: several max-age: ${header}`);
  const [ttlSeconds = 0] = ages;
  return ttlSeconds;
}

function parseAge(value: string): number {
  const digits = /^(?:(\d+)|"(\d+)")$/.exec(value);
  const seconds = digits === null ? 0 : Number(digits[1] ?? digits[2]);
  if (seconds === 0) throw new VitrineError("bad_request", `parse Cache-Control: max-age must be 1 or more: ${value}`);
  return Math.min(seconds, MAX_TTL_SECONDS);
}
