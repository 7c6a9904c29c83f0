/** The URL without its password and without the values of query parameters that sound like secrets. Takes any text, also a damaged URL. */
export function redactUrl(url: string): string {
  return url
    // Up to the last @ before the path: a password may hold one itself.
    .replace(/^([a-z][a-z0-9+.-]*:\/\/[^/?#:@]*):[^/?#]*@/i, "$1:***@")
    .replaceAll(/([?&][^=&#]*(?:password|secret|token|key)[^=&#]*)=[^&#]*/gi, "$1=***");
}
