/**
 * An object's path. Slashes may be sent as they are or encoded, both name the same object; beside dot segments only
 * encoded ones survive URL parsers.
 */
export function objectPath(key: string, slashes: "plain" | "encoded" = "plain"): string {
  const encoded = encodeURIComponent(key);
  const plain = slashes === "plain" && !/(?:^|\/)\.{1,2}(?:\/|$)/.test(key);
  return `/v1/objects/${plain ? encoded.replaceAll("%2F", "/") : encoded}`;
}
