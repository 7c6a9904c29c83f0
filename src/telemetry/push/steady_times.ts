import type { HrTime } from "@opentelemetry/api";
import { type DataPoint, DataPointType, type MetricData, type ResourceMetrics } from "@opentelemetry/sdk-metrics";
import type { Clock } from "../../core/clock.ts";
import { hrTime } from "../hr_time.ts";

/**
 * Sees to it that the times of a series never go back, nor before its start: what stores series refuses points that
 * come from before the last one. While wall time is behind the last push, because it was set back, a push is a
 * millisecond after it.
 */
export class SteadyTimes {
  readonly #clock: Clock;
  #lastMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The same metrics, as of now. */
  of(metrics: ResourceMetrics): ResourceMetrics {
    this.#lastMs = Math.max(this.#clock.nowMs(), this.#lastMs + 1);
    const endTime = hrTime(this.#lastMs);
    const scopeMetrics = metrics.scopeMetrics.map((scope) => ({
      ...scope,
      metrics: scope.metrics.map((metric) => timed(metric, endTime)),
    }));
    return { ...metrics, scopeMetrics };
  }
}

function timed(metric: MetricData, endTime: HrTime): MetricData {
  const at = <Value>(points: readonly DataPoint<Value>[]): DataPoint<Value>[] =>
    points.map((point) => ({ ...point, endTime, startTime: earlier(point.startTime, endTime) }));
  // One branch for each type of point: a union cannot be spread as a whole.
  switch (metric.dataPointType) {
    case DataPointType.HISTOGRAM:
      return { ...metric, dataPoints: at(metric.dataPoints) };
    case DataPointType.EXPONENTIAL_HISTOGRAM:
      return { ...metric, dataPoints: at(metric.dataPoints) };
    case DataPointType.GAUGE:
      return { ...metric, dataPoints: at(metric.dataPoints) };
    case DataPointType.SUM:
    default:
      return { ...metric, dataPoints: at(metric.dataPoints) };
  }
}

function earlier(a: HrTime, b: HrTime): HrTime {
  return a[0] < b[0] || (a[0] === b[0] && a[1] <= b[1]) ? a : b;
}
