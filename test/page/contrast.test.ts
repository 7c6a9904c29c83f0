import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";

const css = readFileSync("page/page.css", "utf8");

/** The colours of the light scheme, or of the dark one, by name. */
function colorsOf(scheme: "light" | "dark"): ReadonlyMap<string, string> {
  const [light = "", dark = ""] = Array.from(
    css.matchAll(/:root \{(?<body>[^}]*)\}/g),
    ({ groups }) => groups?.["body"] ?? "",
  );
  const body = scheme === "light" ? light : dark;
  return new Map(
    Array.from(
      body.matchAll(/--(?<name>[\w-]+): (?<color>#[0-9a-f]{6});/g),
      ({ groups }) => [groups?.["name"] ?? "", groups?.["color"] ?? ""] as const,
    ),
  );
}

/** Relative luminance as WCAG 2.2 defines it. */
function luminance(color: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16) / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one: string, other: string): number {
  const [bright = 0, dim = 0] = [luminance(one), luminance(other)].toSorted((a, b) => b - a);
  return (bright + 0.05) / (dim + 0.05);
}

/**
 * Pairs of a foreground and what it stands on, with the ratio that WCAG's level AA asks: 4.5 for text, 3 for graphics.
 */
const text = ["ink", "muted", "link", "good", "bad", "c3"].flatMap((name) =>
  ["panel", "ground"].map((ground) => [name, ground, 4.5] as const)
);
const graphics = Array.from({ length: 8 }, (_, index) => [`c${index + 1}`, "panel", 3] as const);

for (const scheme of ["light", "dark"] as const) {
  test(`page.css keeps WCAG's contrast when the scheme is ${scheme}`, () => {
    const colors = colorsOf(scheme);
    const of = (name: string) => colors.get(name) ?? `no color ${name}`;
    const weak = [...text, ["bad", "bad-ground", 4.5] as const, ...graphics]
      .map(([name, ground, least]) => ({ name, ground, least, is: contrast(of(name), of(ground)) }))
      .filter(({ is, least }) => !(is >= least));
    expect(weak).toEqual([]);
  });
}

test("contrast is WCAG's when colours are known", () => {
  expect(contrast("#000000", "#ffffff")).toBeCloseTo(21, 10);
  expect(contrast("#777777", "#ffffff")).toBeCloseTo(4.48, 2);
});
