import { VitrineError } from "../../src/core/errors.ts";

/** The largest age that RFC 9111 1.2.2 asks for: 68 years. */
const MAX_TTL_SECONDS = 2 ** 31;

/** A time to live that ends at once: 0 means for ever, and this adds nothing to the time of the PUT. */
const AT_ONCE_SECONDS = Number.MIN_VALUE;

interface Directive {
  /** In lower case. */
  readonly name: string;
  /** Without its quotes; undefined without `=`. */
  readonly value: string | undefined;
}

/**
 * The time to live in the `Cache-Control` of a PUT, in seconds; 0 is for ever. The shorter of `max-age` and `s-maxage`
 * counts, and of each the first one (RFC 9111 4.2.1). Throws bad_request for `no-store`, which contradicts a PUT, and
 * for an age that is not a whole number.
 */
export function parseTtl(header: string | null): number {
  if (header === null) return 0;
  const ages = new Map<string, number>();
  for (const { name, value } of parseDirectives(header)) {
    if (name === "no-store") throw new VitrineError("bad_request", "parse Cache-Control: no-store on a PUT");
    if (name !== "max-age" && name !== "s-maxage") continue;
    const seconds = parseAge(name, value);
    if (!ages.has(name)) ages.set(name, seconds);
  }
  if (ages.size === 0) return 0;
  return Math.min(...ages.values()) || AT_ONCE_SECONDS;
}

/** `#( token [ "=" ( token / quoted-string ) ] )` (RFC 9111 5.2); elements may be empty. Takes linear time. */
function parseDirectives(header: string): readonly Directive[] {
  const directives: Directive[] = [];
  const separators = /[ \t,]*/y;
  const directive = /([!#$%&'*+.^_`|~\w-]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^",;= \t]*)))?[ \t]*(?=,|$)/y;
  for (let at = 0;;) {
    separators.lastIndex = at;
    at += separators.exec(header)?.[0].length ?? 0;
    if (at === header.length) return directives;
    directive.lastIndex = at;
    const found = directive.exec(header);
    if (found === null) {
      // A malformed directive is ignored, unless it looks like one that matters here.
      const end = header.indexOf(",", at);
      const element = header.slice(at, end < 0 ? undefined : end);
      if (/max-?age|no-store/i.test(element)) throw new VitrineError("bad_request", `parse Cache-Control: ${header}`);
      at += element.length;
      continue;
    }
    const [whole, name = "", quoted, token] = found;
    directives.push({ name: name.toLowerCase(), value: quoted?.replaceAll(/\\(.)/g, "$1") ?? token });
    at += whole.length;
  }
}

function parseAge(name: string, value: string | undefined): number {
  if (value === undefined || !/^[0-9]+$/.test(value)) {
    throw new VitrineError("bad_request", `parse Cache-Control: ${name} is not a whole number: ${value ?? ""}`);
  }
  return Math.min(Number(value), MAX_TTL_SECONDS);
}

const MEMBER =
  /[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:=(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+|"(?:[^"\\]|\\.)*"))?[ \t]*(?:,|$)/y;

/** Directives of requests (RFC 9111 5.2.1), and those that the server itself acts on. */
const NOT_KEPT: ReadonlySet<string> = new Set(["max-age", "no-store", "max-stale", "min-fresh", "only-if-cached"]);

/**
 * The response directives in the `Cache-Control` of a PUT, which are sent with the object: as given, without `max-age`
 * and malformed ones. "" if there are none.
 */
export function responseDirectives(header: string): string {
  const kept: string[] = [];
  for (let at = 0; at < header.length;) {
    MEMBER.lastIndex = at;
    const member = MEMBER.exec(header);
    if (member === null) {
      at = nextMember(header, at);
      continue;
    }
    at = MEMBER.lastIndex;
    if (!NOT_KEPT.has((member[1] ?? "").toLowerCase())) kept.push(member[0].replace(/,$/, "").trim());
  }
  return kept.join(", ");
}

function nextMember(header: string, at: number): number {
  const comma = header.indexOf(",", at);
  return comma < 0 ? header.length : comma + 1;
}
