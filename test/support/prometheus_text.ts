/** One sample of the Prometheus text format. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const sampleLine = /^(?<name>[a-zA-Z_:][\w:]*)(?:\{(?<labels>.*)\})? (?<value>\S+)(?: -?\d+)?$/;
const labelPair = /(?<name>[a-zA-Z_]\w*)="(?<value>(?:[^"\\]|\\.)*)"(?:,|$)/gy;
const escapes: Readonly<Record<string, string>> = { "\\n": "\n", '\\"': '"', "\\\\": "\\" };

function parseValue(text: string): number {
  if (text === "NaN") return Number.NaN;
  const value = Number(text.replace("Inf", "Infinity"));
  if (Number.isNaN(value)) throw new Error(`Prometheus text: not a number: ${text}`);
  return value;
}

function parseLabels(text: string): Readonly<Record<string, string>> {
  const labels: Record<string, string> = {};
  let end = 0;
  for (const match of text.matchAll(labelPair)) {
    const { name = "", value = "" } = match.groups ?? {};
    labels[name] = value.replaceAll(/\\./g, (escaped) => escapes[escaped] ?? escaped);
    end = match.index + match[0].length;
  }
  if (end !== text.length) throw new Error(`Prometheus text: bad labels: ${text}`);
  return labels;
}

function parseSample(line: string): Sample {
  const groups = sampleLine.exec(line)?.groups;
  if (groups === undefined) throw new Error(`Prometheus text: bad line: ${line}`);
  const { name = "", labels = "", value = "" } = groups;
  return { name, labels: parseLabels(labels), value: parseValue(value) };
}

/**
 * The samples of one exposition in text format 0.0.4, in order; throws on a line that is neither sample, comment nor
 * empty.
 */
export function parsePrometheusText(text: string): readonly Sample[] {
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).map(parseSample);
}
