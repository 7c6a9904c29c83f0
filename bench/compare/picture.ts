import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import type { ThreadHits } from "./thread_hits.ts";
import type { Ratio } from "./ratios.ts";

const themes = {
  light: { text: "#24292f", faint: "#d0d7de", bun: "#c2410c", deno: "#0e7490" },
  dark: { text: "#e6edf3", faint: "#3d444d", bun: "#fb923c", deno: "#22d3ee" },
} as const;

/** What the page around the picture looks like. */
export type Theme = keyof typeof themes;

/** The themes, each of which wants a picture of its own. */
export const themeNames: readonly Theme[] = ["light", "dark"];

interface Bar {
  readonly row: string;
  readonly runtime: string;
  readonly ratio: number;
  readonly label: string;
  readonly aim: number | null;
}

/** The ratios of Vitrine to others and of two threads to one, as an SVG: bars from 1, and a mark for each aim. */
export async function picture(
  ratios: readonly Ratio[],
  { threads, theme }: { readonly threads: readonly ThreadHits[]; readonly theme: Theme },
): Promise<string> {
  const bars = [...ratios.filter(isDrawn).map(barOfRatio), ...threads.map(barOfThreads)];
  const view = new View(parse(compile(specOf(bars, theme)).spec), { renderer: "none" });
  const svg = await view.toSVG();
  view.finalize();
  return svg;
}

function isDrawn({ byCpu, of, runtime }: Ratio): boolean {
  return of === `vitrine on ${runtime}` && !Number.isNaN(byCpu);
}

function barOfRatio({ caseName, to, runtime, byCpu, atLeast }: Ratio): Bar {
  const other = to.replace(/^bare .*/, "bare server").replace(` on ${runtime}`, "");
  return bar(`${caseName} / ${other}`, { runtime, ratio: byCpu, aim: atLeast });
}

function barOfThreads({ name, runtime, byRate, atLeast }: ThreadHits): Bar {
  return bar(`two threads / one, ${name}`, { runtime, ratio: byRate, aim: atLeast });
}

function bar(
  row: string,
  { runtime, ratio, aim }: {
    readonly runtime: "bun" | "deno";
    readonly ratio: number;
    readonly aim: number | undefined;
  },
): Bar {
  return { row, runtime: runtime === "bun" ? "Bun" : "Deno", ratio, label: ratio.toFixed(2), aim: aim ?? null };
}

function specOf(bars: readonly Bar[], theme: Theme): TopLevelSpec {
  const { text, faint, bun, deno } = themes[theme];
  const rows = [...new Set(bars.map(({ row }) => row))];
  const x = { type: "quantitative", scale: { type: "log" } } as const;
  return {
    background: "transparent",
    data: { values: [...bars] },
    title: {
      text: "Processor time for a request, in multiples of Vitrine's",
      subtitle: "right of 1: Vitrine takes less; the upright mark is the aim; two threads: by hits a second",
      anchor: "start",
    },
    width: 520,
    height: { step: 11 },
    config: {
      font: "system-ui, sans-serif",
      view: { stroke: null },
      title: { color: text, subtitleColor: text },
      axis: { labelColor: text, titleColor: text, gridColor: faint, domainColor: faint, tickColor: faint },
      legend: { labelColor: text, titleColor: text },
    },
    encoding: {
      y: {
        field: "row",
        type: "nominal",
        scale: { domain: rows },
        title: null,
        axis: { labelLimit: 320, grid: false },
      },
      yOffset: { field: "runtime", scale: { domain: ["Bun", "Deno"] } },
    },
    layer: [
      {
        mark: { type: "bar" },
        encoding: {
          x: { ...x, field: "ratio", title: null, axis: { values: [0.1, 0.2, 0.5, 1, 2, 5, 10], format: "~g" } },
          x2: { datum: 1 },
          color: {
            field: "runtime",
            type: "nominal",
            scale: { domain: ["Bun", "Deno"], range: [bun, deno] },
            legend: { title: null, orient: "top-right" },
          },
        },
      },
      {
        mark: {
          type: "text",
          align: { expr: "datum.ratio < 1 ? 'right' : 'left'" },
          dx: { expr: "datum.ratio < 1 ? -4 : 4" },
          fontSize: 9,
          color: text,
        },
        encoding: { x: { ...x, field: "ratio" }, text: { field: "label" } },
      },
      {
        transform: [{ filter: "isValid(datum.aim)" }],
        mark: { type: "tick", orient: "vertical", thickness: 2, size: 11, color: text },
        encoding: { x: { ...x, field: "aim" } },
      },
    ],
  };
}
