/**
 * The weight that an `Accept` gives a media type, 0 (refused) to 1 (RFC 9110 12.5.1); undefined if it does not name it.
 * Ranges such as `*`/`*` name nothing.
 */
export function qualityOf(accept: string, mediaType: string): number | undefined {
  for (const element of accept.split(",")) {
    const [type = "", ...parameters] = element.split(";").map((part) => part.trim().toLowerCase());
    if (type !== mediaType) continue;
    const weight = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2) ?? "1";
    return /^[01](?:\.[0-9]{0,3})?$/.test(weight) ? Math.min(1, Number(weight)) : 1;
  }
  return undefined;
}
