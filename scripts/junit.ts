/** How many tests of a JUnit report passed and failed. A skipped test counts as failed: nothing is skipped silently. */
export function countTests(xml: string): { readonly passed: number; readonly failed: number } {
  const cases = xml.matchAll(/<testcase\b[^>]*?(?:\/>|>(?<body>.*?)<\/testcase>)/gs);
  const bodies = Array.from(cases, (match) => match.groups?.["body"] ?? "");
  const failed = bodies.filter((body) => /<(?:failure|error|skipped)\b/.test(body)).length;
  return { passed: bodies.length - failed, failed };
}
