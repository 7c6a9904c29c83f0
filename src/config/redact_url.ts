/** Names of parameters that probably hold a secret. */
const SECRET = /password|secret|token|key/i;

/**
 * Masks the password of a URL and the values of query parameters that probably hold secrets. Accepts any text, also a
 * malformed URL.
 */
export function redactUrl(url: string): string {
  // Up to the last @ before the path, because a password may contain one.
  const plain = url.replace(/^([a-z][a-z0-9+.-]*:\/\/[^/?#:@]*):[^/?#]*@/i, "$1:***@");
  return plain.split(/(?=[&#])/).map(redactParameters).join("");
}

/**
 * `part` extends from one `&` or `#` to the next. Everything after its first secret is masked too, because a value may
 * contain a question mark.
 */
function redactParameters(part: string): string {
  let shown = "";
  for (const piece of part.split(/(?=\?)/)) {
    const equals = piece.indexOf("=");
    if (equals > 0 && /^[?&]/.test(piece) && SECRET.test(piece.slice(0, equals))) {
      return `${shown}${piece.slice(0, equals)}=***`;
    }
    shown += piece;
  }
  return shown;
}
