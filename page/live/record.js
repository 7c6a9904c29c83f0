// @ts-check

/**
 * A line of the live list.
 * @typedef {object} LiveRecord
 * @property {string} id for `Last-Event-ID`; "" if it has none
 * @property {string} name of the event, or `lost`: so many of them this listener does not get
 * @property {Date | undefined} time
 * @property {number | undefined} count how many events it stands for; undefined if nobody knows
 * @property {readonly (readonly [string, string])[]} fields
 */

const framing = new Set(["id", "name", "time", "count", "folded"]);

/** @param {unknown} field */
function textOf(field) {
  if (typeof field === "string") return field;
  // Seconds come with all the digits of a double.
  return JSON.stringify(typeof field === "number" && !Number.isInteger(field) ? Number(field.toPrecision(3)) : field);
}

/** @param {unknown} value */
function parseTime(value) {
  if (typeof value !== "string" && typeof value !== "number") return undefined;
  const time = new Date(value);
  return Number.isNaN(time.getTime()) ? undefined : time;
}

/**
 * Reads one record of `/v1/events`. Throws if it has no name.
 * @param {unknown} value
 * @returns {LiveRecord}
 */
export function parseRecord(value) {
  if (typeof value !== "object" || value === null || !("name" in value) || typeof value.name !== "string") {
    throw new Error("parse live event: no name");
  }
  const entries = Object.entries(value);
  const of = Object.fromEntries(entries.filter(([name]) => framing.has(name)));
  return {
    id: typeof of["id"] === "string" ? of["id"] : "",
    name: value.name,
    time: parseTime(of["time"]),
    count: typeof of["count"] === "number" ? of["count"] : undefined,
    fields: entries.filter(([name, field]) => !framing.has(name) && field !== "").map(([name, field]) => {
      return [name, textOf(field)];
    }),
  };
}
