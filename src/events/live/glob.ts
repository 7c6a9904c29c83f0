/**
 * True if a glob, in which `*` stands for any characters, matches all of `text`. The first place where a part fits is
 * as good as any later one, so nothing is tried twice: the cost is the length of the two multiplied at worst, and no
 * expression is made of what a client sends.
 */
export function globMatches(glob: string, text: string): boolean {
  const [head = "", ...rest] = glob.split("*");
  const tail = rest.pop();
  if (tail === undefined) return text === head;
  if (text.length < head.length + tail.length || !text.startsWith(head) || !text.endsWith(tail)) return false;
  let at = head.length;
  const end = text.length - tail.length;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found < 0 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}
