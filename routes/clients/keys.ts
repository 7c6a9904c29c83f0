import { VitrineError } from "../../src/core/errors.ts";

/** A name that becomes one segment of a key: no slash, and no segment that a URL resolves. */
const NAME = /^\w[\w.-]{0,127}$/;

/** Returns the name. Throws bad_key; `what` says what it names. */
export function checkName(what: string, name: string): string {
  if (NAME.test(name)) return name;
  const message = `parse ${what}: not 1 to 128 letters, digits, ., _ and -, the first none of . and -`;
  throw new VitrineError("bad_key", `${message}: ${name.slice(0, 128)}`);
}
