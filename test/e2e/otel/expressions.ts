import { rows } from "../../../deploy/grafana/panels.ts";
import { jobs, type Prometheus } from "../tools/prometheus.ts";
import { lmcachePanels } from "./lmcache_panels.ts";

/** One expression that must show data after a load. */
export interface Expression {
  readonly panel: string;
  readonly expr: string;
}

/** The titles of our own dashboard's panels begin with it. */
const OURS = "Vitrine";
/** Longer than the load and what is waited for after it. */
const window = "60s";

/** Every expression of both dashboards, with Grafana's variables filled in; ours as for the pushed series. */
export const expressions: readonly Expression[] = [
  ...rows.flatMap(({ panels }) => panels).flatMap(({ title, queries }) =>
    queries.map(({ expr }) => ({ panel: `${OURS}: ${title}`, expr }))
  ),
  ...lmcachePanels.flatMap(({ panel, expressions }) =>
    expressions.map((expr) => ({ panel: `LMCache: ${panel}`, expr }))
  ),
].map(({ panel, expr }) => ({
  panel,
  expr: expr.replaceAll("$__rate_interval", window).replaceAll("$job", jobs.pushed).replaceAll("$instance", ".*"),
}));

/** The expressions that show nothing, or nothing but NaN. Throws if one is refused. */
export async function emptyExpressions(prometheus: Prometheus): Promise<readonly Expression[]> {
  const answers = await Promise.all(expressions.map(async (expression) => ({
    expression,
    series: await prometheus.query(expression.expr),
  })));
  return answers.filter(({ series }) => !series.some(({ values }) => values.some(Number.isFinite)))
    .map(({ expression }) => expression);
}

/**
 * The samples of our dashboard's and our rules' expressions that are NaN or infinite, such as a share of nothing.
 * Throws if Prometheus refuses an expression.
 */
export async function notNumbers(prometheus: Prometheus): Promise<readonly string[]> {
  const ours = expressions.filter(({ panel }) => panel.startsWith(OURS)).map(({ expr }) => expr);
  const answers = await Promise.all([...ours, '{__name__=~".*:.*"}'].map(async (expr) => ({
    expr,
    series: await prometheus.query(expr),
  })));
  return answers.flatMap(({ expr, series }) =>
    series.filter(({ values }) => !values.every(Number.isFinite))
      .map(({ labels, values }) => `${expr} ${JSON.stringify(labels)}: ${values.join()}`)
  );
}
