// @ts-check
import { byId, make } from "./dom.js";

/**
 * Fills the body of a table. Columns are as the table's head says: text on the left, numbers on the right.
 * @param {string} id of the table
 * @param {readonly (readonly string[])[]} rows
 */
export function fillTable(id, rows) {
  const table = byId(id, HTMLTableElement);
  const heads = Array.from(table.tHead?.rows[0]?.cells ?? []);
  const body = table.tBodies[0] ?? table.createTBody();
  if (rows.length === 0) {
    const empty = make("td", { class: "empty" }, table.dataset["empty"] ?? "");
    empty.setAttribute("colspan", String(heads.length));
    body.replaceChildren(make("tr", {}, empty));
    return;
  }
  body.replaceChildren(...rows.map((row) =>
    make(
      "tr",
      {},
      ...row.map((text, column) => {
        const kind = heads[column]?.className ?? "";
        if (column > 0) return make("td", { class: kind }, text);
        const head = make("th", { class: kind, title: text }, text);
        head.setAttribute("scope", "row");
        return head;
      }),
    )
  ));
}
