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

An event is a fact that a component states where it happens. Publishing never blocks, never throws and never waits; subscribers
run later. Unless a subscriber wants events one by one, those with the same labels are counted together; what such a group has of a field:

| kind | in a group |
|---|---|
| label | the same in all events of the group |
| sum | added up |
| histogram | one group per bucket; holds the mean, which lies in the bucket, so bucket counts and the sum stay exact |
| detail | gone |

Every delivered event also has \`name\`, \`timeMs\` (of publish; for a group, of the look that found it), \`count\` (how many events it stands for) and \`folded\`.
`;
