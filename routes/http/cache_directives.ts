const MEMBER =
  /[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:=(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+|"(?:[^"\\]|\\.)*"))?[ \t]*(?:,|$)/y;

/** Directives of requests (RFC 9111 5.2.1), and those with a meaning of their own here. */
const NOT_KEPT: ReadonlySet<string> = new Set(["max-age", "no-store", "max-stale", "min-fresh", "only-if-cached"]);

/**
 * The response directives of a PUT's `Cache-Control` as they were given, without `max-age`: they are sent with the
 * object. "" if there are none; malformed ones are left out.
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
