// @ts-check

const binaryUnits = ["B", "KiB", "MiB", "GiB", "TiB"];
const decimalUnits = ["B/s", "kB/s", "MB/s", "GB/s", "TB/s"];

/**
 * Three significant digits below 1000, whole numbers above.
 * @param {number} value
 */
function digits(value) {
  if (value >= 100 || Number.isInteger(value)) return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
  return value.toLocaleString("en-US", { maximumFractionDigits: value >= 10 ? 1 : 2 });
}

/**
 * @param {number} value
 * @param {number} step
 * @param {readonly string[]} units
 */
function scaled(value, step, units) {
  let index = 0;
  let rest = value;
  // Otherwise 999.6 would be shown as 1000 of the smaller unit.
  while (rest >= step - 0.5 && index < units.length - 1) {
    rest /= step;
    index += 1;
  }
  return `${digits(rest)} ${units[index]}`;
}

/**
 * A whole number, exactly.
 * @param {number} value
 */
export const formatCount = (value) => value.toLocaleString("en-US", { maximumFractionDigits: 0 });

/**
 * A rate per second, without the unit.
 * @param {number} value
 */
export const formatRate = (value) => value > 0 && value < 0.01 ? "<0.01" : digits(value);

/**
 * A size in units of 1024, as in the settings.
 * @param {number} bytes
 */
export const formatBytes = (bytes) => scaled(bytes, 1024, binaryUnits);

/**
 * Bytes per second in units of 1000, as is usual for networks.
 * @param {number} bytesPerSecond
 */
export const formatThroughput = (bytesPerSecond) => scaled(bytesPerSecond, 1000, decimalUnits);

/**
 * A share from 0 to 1 in percent. Only exactly 1 is shown as 100 %, and only 0 as 0 %.
 * @param {number} ratio
 */
export function formatPercent(ratio) {
  if (ratio > 0 && ratio < 0.001) return "<0.1 %";
  if (ratio < 1 && ratio > 0.999) return ">99.9 %";
  return ratio === 0 || ratio === 1 ? `${ratio * 100} %` : `${(ratio * 100).toFixed(1)} %`;
}

/**
 * A short time, such as a latency.
 * @param {number} seconds
 */
export function formatLatency(seconds) {
  if (seconds === 0) return "0 ms";
  if (seconds < 0.0009995) return `${digits(seconds * 1e6)} µs`;
  if (seconds < 0.9995) return `${digits(seconds * 1000)} ms`;
  return `${digits(seconds)} s`;
}

/**
 * A long time in its largest unit, such as an age.
 * @param {number} seconds
 */
export function formatAge(seconds) {
  const [largest = "", unit = ""] = formatDuration(seconds).split(" ");
  return `${largest} ${unit}`;
}

/**
 * A long time in its two largest units, such as an uptime.
 * @param {number} seconds
 */
export function formatDuration(seconds) {
  const whole = Math.floor(seconds);
  const [days, hours, minutes] = [
    Math.floor(whole / 86_400),
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 60) % 60,
  ];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}
