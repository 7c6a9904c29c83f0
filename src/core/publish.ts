/**
 * How a component states a fact: never blocks, never throws, never awaits.
 * `Events` maps each event name to its fields; the catalogue in src/events is the one real map.
 */
export type Publish<Events> = <Name extends keyof Events & string>(name: Name, fields: Events[Name]) => void;
