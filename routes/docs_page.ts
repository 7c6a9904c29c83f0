const STYLE = `
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color-scheme: light dark; }
summary { cursor: pointer; padding: .4rem 0; }
summary b { display: inline-block; min-width: 4.5rem; }
code { font-family: ui-monospace, monospace; }
table { border-collapse: collapse; margin: .5rem 0 1rem; }
td, th { border: 1px solid #8886; padding: .2rem .6rem; text-align: left; vertical-align: top; }
pre { overflow: auto; padding: .5rem; border: 1px solid #8886; }
`;

const SCRIPT = `
const spec = await (await fetch("/openapi.json")).json();
const element = (name, ...children) => {
  const made = document.createElement(name);
  made.append(...children);
  return made;
};
const table = (head, rows) => {
  const line = (cell) => (row) => element("tr", ...row.map((text) => element(cell, text ?? "")));
  return element("table", line("th")(head), ...rows.map(line("td")));
};
const schemas = (content) => Object.entries(content ?? {}).flatMap(([type, { schema }]) =>
  [element("p", element("code", type)), element("pre", JSON.stringify(schema, null, 2))]);
document.querySelector("h1").textContent = spec.info.title + " " + spec.info.version;
document.querySelector("#about").textContent = spec.info.description;
for (const [path, methods] of Object.entries(spec.paths)) {
  for (const [method, { summary, parameters = [], requestBody, responses }] of Object.entries(methods)) {
    const details = element("details", element("summary", element("b", method.toUpperCase()), element("code", path), " " + summary));
    if (parameters.length > 0) {
      details.append(table(["parameter", "in", "meaning"], parameters.map((p) => [p.name, p.in, p.description])));
    }
    details.append(...schemas(requestBody?.content));
    details.append(table(["status", "meaning"], Object.entries(responses).map(([status, r]) => [status, r.description])));
    for (const [status, { content }] of Object.entries(responses)) {
      if (status < 300) details.append(...schemas(content));
    }
    document.body.append(details);
  }
}
`;

/** A page that draws /openapi.json and loads nothing from elsewhere. */
export function docsPage(): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Vitrine: the HTTP interface</title>
<style>${STYLE}</style>
<h1>Vitrine</h1>
<p id="about"></p>
<p><a href="/">What happens inside, live</a> · <a href="/openapi.json">openapi.json</a></p>
<script type="module">${SCRIPT}</script>
</html>
`;
}
