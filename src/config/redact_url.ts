/** A name of a parameter that sounds like a secret. */
const SECRET = /password|secret|token|key/i;

/**
 * The URL without its password and without the values of query parameters that sound like secrets. Takes any text, also
 * a damaged URL.
 */
export function redactUrl(url: string): string {
  // Up to the last @ before the path: a password may hold one itself.
  const plain = url.replace(/^([a-z][a-z0-9+.-]*:\/\/[^/?#:@]*):[^/?#]*@/i, "$1:***@");
  return plain.split(/(?=[&#])/).map(redactParameters).join("");
}

/**
 * `part` goes from one `&` or `#` to the next. Its first secret hides all that follows: a value may hold a question
 * mark.
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
