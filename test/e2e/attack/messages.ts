import fc from "fast-check";

/** Bytes for one connection, as Latin-1, and how they are sent. */
export interface Message {
  readonly text: string;
  /** Where the bytes are cut into pieces that are sent one after the other, as fractions of the length. */
  readonly cuts: readonly number[];
  readonly end: "waits" | "half-closes" | "disappears";
}

/** An object that no message may change. */
export const SENTINEL = "/v1/objects/sentinel";

/** Hidden in well-framed bodies: nobody may ever take it for a request. */
const HIDDEN = `PUT ${SENTINEL} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\nhidden`;

const latin1 = (maxLength: number) =>
  fc.array(fc.nat(255), { maxLength }).map((codes) => String.fromCharCode(...codes));
const ascii = (maxLength: number) => fc.string({ maxLength }).map((text) => text.replaceAll(/[^\x20-\x7e]/g, "~"));
const token = fc.stringMatching(/^[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,20}$/);
const huge = fc.constantFrom(8_000, 20_000, 70_000).map((length) => "h".repeat(length));

// CONNECT is left out: its content is a request today (test/http/framing.test.ts).
const method = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("GET", "PUT", "HEAD", "DELETE") },
  { weight: 1, arbitrary: fc.constantFrom("POST", "OPTIONS", "TRACE", "PATCH", "get", "", "PRI") },
  { weight: 1, arbitrary: token.filter((name) => !/^connect$/i.test(name)) },
);
const key = fc.oneof(fc.constantFrom("a", "a/b", "%2e%2e", "%00", "%zz", "..", "a//b", "%"), ascii(40), latin1(20));
const target = fc.oneof(
  { weight: 6, arbitrary: key.map((text) => `/v1/objects/${text.replaceAll(/[\r\n ]/g, "_")}`) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      "/",
      "*",
      "/v1/objects?limit=1",
      "/v1/objects?cursor=%ff",
      "http://other/x",
      "//",
      "/../",
    ),
  },
  { weight: 1, arbitrary: latin1(30) },
  { weight: 1, arbitrary: huge.map((text) => `/v1/objects/${text}`) },
);
const version = fc.oneof(
  { weight: 8, arbitrary: fc.constant("HTTP/1.1") },
  { weight: 1, arbitrary: fc.constantFrom("HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.10", "http/1.1", "") },
);
/** Names that say something about the connection or the body are left to `framed` and `misframed`. */
const isPlain = (name: string) => !/^(?:content-length|transfer-encoding|connection|upgrade|expect|host)$/i.test(name);
const field = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(token.filter(isPlain), ascii(60)).map((pair) => pair.join(": ")) },
  {
    weight: 2,
    arbitrary: fc.tuple(
      fc.constantFrom(
        ...["range", "if-match", "if-none-match", "if-range", "cache-control", "content-digest", "repr-digest"],
        ...["authorization", "vitrine-tenant", "vitrine-durability", "traceparent", "origin", "content-type", "accept"],
        ...["content-range", "x-forwarded-for", "forwarded", "vitrine-meta-x", "sec-fetch-site", "last-event-id"],
      ),
      fc.oneof(
        ascii(80),
        latin1(40).map((text) => text.replaceAll(/[\r\n\0]/g, "")),
        fc.constantFrom('"', "bytes=0-", "="),
      ),
    ).map((pair) => pair.join(": ")),
  },
  { weight: 1, arbitrary: latin1(40).map((text) => text.replaceAll(/[\r\n]/g, "")) },
  { weight: 1, arbitrary: huge.map((text) => `x: ${text}`) },
);
const fields = fc.oneof(
  { weight: 8, arbitrary: fc.array(field, { maxLength: 5 }) },
  { weight: 1, arbitrary: fc.array(fc.constant("x: y"), { minLength: 90, maxLength: 260 }) },
);

/** A body and the fields that frame it rightly. */
const framed = fc.tuple(fc.constantFrom("", "body", HIDDEN, HIDDEN + HIDDEN), fc.nat(4), fc.boolean()).map(
  ([body, kind, hasTrailer]) => {
    if (kind === 0) return { fields: [], body: "" };
    if (kind < 3) return { fields: [`Content-Length: ${body.length}`], body };
    const half = Math.ceil(body.length / 2);
    const chunks = [body.slice(0, half), body.slice(half)].filter((chunk) => chunk !== "");
    const text = chunks.map((chunk) => `${chunk.length.toString(16)};e=1\r\n${chunk}\r\n`).join("");
    return {
      fields: ["Transfer-Encoding: chunked"],
      body: `${text}0\r\n${hasTrailer ? "x-trailer: 1\r\n" : ""}\r\n`,
    };
  },
);
/** A body that is framed wrongly, or in two ways. */
const misframed = fc.tuple(
  fc.array(
    fc.constantFrom(
      ...["+5", "-1", "0x5", "5, 5", "", "1e3", "18446744073709551621", "99999999999999", "5"].map((length) =>
        `Content-Length: ${length}`
      ),
      ...["chunked", "gzip, chunked", "chunked, chunked", "xchunked", "\vchunked", "identity", "chunked;q=1"].map((
        coding,
      ) => `Transfer-Encoding: ${coding}`),
    ),
    { minLength: 1, maxLength: 3 },
  ),
  fc.oneof(
    ascii(60),
    fc.constantFrom(
      ...["5\r\nhello\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n", "-1\r\nx\r\n", "fffffffffffffffff\r\nx", "\r\n\r\n"],
      ...["5\nhello\n0\n\n", `5;${"e".repeat(30_000)}\r\nhello\r\n0\r\n\r\n`, `0\r\n${"t: 1\r\n".repeat(500)}\r\n`],
    ),
  ),
).map(([headers, body]) => ({ fields: headers, body }));

type Parts = readonly [
  method: string,
  target: string,
  version: string,
  fields: readonly string[],
  content: { readonly fields: readonly string[]; readonly body: string },
  host: string,
];

function textOf([name, path, protocol, lines, content, host]: Parts): string {
  const head = [`${name} ${path} ${protocol}`, host, ...lines, ...content.fields].filter((line) => line !== "");
  return `${head.join("\r\n")}\r\n\r\n${content.body}`;
}

/** A request that reaches its route. */
const calm: fc.Arbitrary<Parts> = fc.tuple(
  fc.constantFrom("GET", "PUT", "PUT", "HEAD", "DELETE"),
  fc.constantFrom("/v1/objects/a", "/v1/objects/b%2Fc", "/v1/objects/d/e"),
  fc.constant("HTTP/1.1"),
  fc.constant([]),
  framed,
  fc.constant("Host: localhost"),
);
const wild: fc.Arbitrary<Parts> = fc.tuple(
  method,
  target,
  version,
  fields,
  fc.oneof(framed, misframed),
  fc.constantFrom("Host: localhost", "Host: localhost", "Host: evil.example", "Host: a b", ""),
);
/** Calm but for one part. */
const odd: fc.Arbitrary<Parts> = fc.tuple(calm, wild, fc.nat(5)).map(([parts, others, at]) => [
  at === 0 ? others[0] : parts[0],
  at === 1 ? others[1] : parts[1],
  at === 2 ? others[2] : parts[2],
  at === 3 ? others[3] : parts[3],
  at === 4 ? others[4] : parts[4],
  at === 5 ? others[5] : parts[5],
]);
const request = fc.oneof(
  { weight: 3, arbitrary: calm },
  { weight: 5, arbitrary: odd },
  { weight: 2, arbitrary: wild },
).map(textOf);

/** Messages from well-formed to nonsense. */
export const message: fc.Arbitrary<Message> = fc.record({
  text: fc.oneof(
    { weight: 6, arbitrary: request },
    { weight: 2, arbitrary: fc.array(request, { minLength: 2, maxLength: 4 }).map((all) => all.join("")) },
    {
      weight: 1,
      arbitrary: fc.tuple(request, fc.double({ min: 0, max: 1, noNaN: true })).map(([text, at]) =>
        text.slice(0, Math.floor(text.length * at))
      ),
    },
    { weight: 1, arbitrary: latin1(300) },
  ),
  cuts: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 }) },
  ),
  end: fc.constantFrom("waits", "half-closes", "half-closes", "disappears"),
});
