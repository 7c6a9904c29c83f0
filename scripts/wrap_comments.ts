/** Columns that a line of a comment may take. */
export const COMMENT_COLUMNS = 120;

/** A line that consists of a comment or of a part of one. */
interface CommentLine {
  readonly indent: string;
  /** The characters before the text, such as "// " or " * ". */
  readonly marker: string;
  readonly text: string;
}

const WHOLE_BLOCK = /^(?<indent>\s*)\/\*(?<stars>\*?) (?<text>.*) \*\/$/;
const LINE = /^(?<indent>\s*)(?<marker>\/\/ | ?\* )(?<text>.*)$/;
/** The start of a list item or of a tag, which is no part of the paragraph before it. */
const ITEM = /^(?:[-*] |\d+\. |@)/;
/** Instructions of tools, which end with their line. */
const DIRECTIVE = /\/\/ (?:oxlint|deno-(?:lint|fmt)|@ts)-/;

/** The numbers, from 1, of the lines whose comment goes beyond 120 columns. */
export function longComments(source: string): readonly number[] {
  return source.split("\n").flatMap((line, index) =>
    line.length > COMMENT_COLUMNS && !DIRECTIVE.test(line) && /^\s*(?:\/\/|\/?\*)|\S\s+\/\/ /.test(line)
      ? [index + 1]
      : []
  );
}

/** The source with the comments that go beyond 120 columns broken into more lines; other lines stay as they are. */
export function wrapComments(source: string): string {
  const lines = source.split("\n");
  const out: string[] = [];
  while (lines.length > 0) {
    const line = lines.shift() ?? "";
    if (line.length <= COMMENT_COLUMNS || DIRECTIVE.test(line)) out.push(line);
    else out.push(...wrapped(line, lines));
  }
  return out.join("\n");
}

/** One comment line in as many as it needs; takes the rest of its paragraph from `following`. */
function wrapped(line: string, following: string[]): readonly string[] {
  const block = WHOLE_BLOCK.exec(line)?.groups;
  if (block !== undefined) {
    const { indent = "", stars = "", text = "" } = block;
    const body = fill({ indent, marker: " * ", text });
    return [`${indent}/*${stars}`, ...body, `${indent} */`];
  }
  const first = commentOf(line);
  if (first === undefined) return [line];
  const words = [first.text];
  for (let next = commentOf(following[0] ?? ""); next !== undefined; next = commentOf(following[0] ?? "")) {
    if (next.indent !== first.indent || next.marker !== first.marker || next.text === "" || ITEM.test(next.text)) break;
    words.push(next.text);
    following.shift();
  }
  return fill({ ...first, text: words.join(" ") });
}

function commentOf(line: string): CommentLine | undefined {
  const groups = LINE.exec(line)?.groups;
  if (groups === undefined) return undefined;
  const { indent = "", marker = "", text = "" } = groups;
  return { indent, marker, text };
}

/**
 * Lines of at most 120 columns; a word that is longer stands alone. Lines of a list item after the first are indented.
 */
function fill({ indent, marker, text }: CommentLine): readonly string[] {
  const hanging = ITEM.test(text) ? "  " : "";
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const prefix = `${indent}${marker}${lines.length > 0 ? hanging : ""}`;
    const longer = line === "" ? `${prefix}${word}` : `${line} ${word}`;
    if (line === "" || longer.length <= COMMENT_COLUMNS) line = longer;
    else {
      lines.push(line);
      line = `${indent}${marker}${hanging}${word}`;
    }
  }
  return [...lines, line];
}
