import { catalogue, eventNames } from "../src/events/catalogue.ts";

/** docs/EVENTS.md, from the catalogue. */
export function eventsMarkdown(): string {
  const sections = eventNames.map((name) => {
    const { doc, fields } = catalogue[name];
    const rows = Object.entries(fields).map(([field, { kind, values, doc }]) =>
      `| \`${field}\` | ${kind} | ${values?.join(", ") ?? ""} | ${doc} |`
    );
    return [`## \`${name}\``, "", doc, "", "| field | kind | values | meaning |", "|---|---|---|---|", ...rows].join(
      "\n",
    );
  });
  return `${INTRODUCTION}\n${sections.join("\n\n")}\n`;
}

const INTRODUCTION = `<!-- deno-fmt-ignore-file -->
# Events

Generated from src/events/catalogue by \`bun run docs\`. Do not edit.

An event is a typed fact that a component publishes where it happens. Publishing never blocks, throws or waits; subscribers run later.
Unless a subscriber wants individual events, events with the same labels are aggregated. An aggregate has the fields of an event:

| kind | in an aggregate |
|---|---|
| label | the same in all its events |
| sum | the total |
| histogram | the mean; there is one aggregate per bucket, and its mean is in the bucket, so bucket counts and the sum stay exact |
| detail | missing |

Every delivered event also has \`name\`, \`timeMs\` (the time of publish; for an aggregate, the time at which the collector read it), \`count\` (the number of events it stands for) and \`folded\` (true for an aggregate).
`;
