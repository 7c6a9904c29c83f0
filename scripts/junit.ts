/** The numbers of tests that passed and failed. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
}

/** Counts the tests of a JUnit report. A skipped test counts as failed: nothing is skipped silently. */
export function countTests(xml: string): Counts {
  const cases = xml.matchAll(/<testcase\b[^>]*?(?:\/>|>(?<body>.*?)<\/testcase>)/gs);
  const bodies = Array.from(cases, (match) => match.groups?.["body"] ?? "");
  const failed = bodies.filter((body) => /<(?:failure|error|skipped)\b/.test(body)).length;
  return { passed: bodies.length - failed, failed };
}
