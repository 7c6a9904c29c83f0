import { type Panel, type Row, rows } from "./panels.ts";

const columns = 24;
const panelHeight = 8;
const panelsInLine = 4;
const datasource = { type: "prometheus", uid: "${datasource}" };

function variable(name: string, query: string, more: object): object {
  return { name, label: name, type: "query", datasource, query, refresh: 2, sort: 1, ...more };
}

function panelJson(
  panel: Panel,
  place: { readonly id: number; readonly x: number; readonly y: number; readonly w: number },
) {
  const { id, ...position } = place;
  return {
    id,
    type: "timeseries",
    title: panel.title,
    description: `${panel.question} ${panel.action}`,
    datasource,
    gridPos: { h: panelHeight, ...position },
    fieldConfig: {
      defaults: {
        unit: panel.unit,
        min: 0,
        custom: panel.stacked ? { fillOpacity: 30, stacking: { mode: "normal", group: "A" } } : { fillOpacity: 0 },
      },
      overrides: [],
    },
    options: { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi", sort: "desc" } },
    targets: panel.queries.map(({ expr, legend }, i) => ({
      refId: String.fromCharCode("A".charCodeAt(0) + i),
      datasource,
      expr,
      legendFormat: legend,
    })),
  };
}

/** A heading and its panels, four in a line, from line `y` on; `id` is the heading's. */
function rowJson({ title, panels }: Row, { id, y }: { readonly id: number; readonly y: number }): readonly object[] {
  const w = columns / panelsInLine;
  return [
    { id, type: "row", title, collapsed: false, gridPos: { h: 1, w: columns, x: 0, y }, panels: [] },
    ...panels.map((panel, i) =>
      panelJson(panel, {
        id: id + 1 + i,
        x: (i % panelsInLine) * w,
        y: y + 1 + Math.floor(i / panelsInLine) * panelHeight,
        w,
      })
    ),
  ];
}

function panelsJson(): readonly object[] {
  let id = 1;
  let y = 0;
  return rows.flatMap((row) => {
    const json = rowJson(row, { id, y });
    id += json.length;
    y += 1 + Math.ceil(row.panels.length / panelsInLine) * panelHeight;
    return json;
  });
}

/** The text of deploy/grafana/dashboards/vitrine.json, which Grafana reads; written by `bun run docs`. */
export function dashboardJson(): string {
  const dashboard = {
    uid: "vitrine",
    title: "Vitrine",
    tags: ["vitrine"],
    schemaVersion: 39,
    editable: true,
    refresh: "10s",
    time: { from: "now-30m", to: "now" },
    templating: {
      list: [
        { name: "datasource", label: "datasource", type: "datasource", query: "prometheus" },
        // One job at a time: the same series may come pushed and pulled.
        variable("job", "label_values(vitrine_build_info, job)", {}),
        variable("instance", 'label_values(vitrine_build_info{job=~"$job"}, service_instance_id)', {
          multi: true,
          includeAll: true,
          allValue: ".*",
          current: { text: "All", value: "$__all" },
        }),
      ],
    },
    panels: panelsJson(),
  };
  return `${JSON.stringify(dashboard, null, 2)}\n`;
}
