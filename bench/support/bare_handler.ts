/** The answers of a bare server: for each path the headers that Vitrine sent, and the number of bytes. */
export type BareAnswers = Readonly<
  Record<string, { readonly headers: Readonly<Record<string, string>>; readonly sizeBytes: number }>
>;

const memoryBytes = 64 * 1024 ** 2;
/** Below, arrayBuffer() is the faster way to read a body on both runtimes; above, its stream is. */
const streamFromBytes = 64 * 1024;

/** The least a server can do: GET answers bytes at hand, PUT copies the body into memory that is there already. */
export function bareHandler(answers: BareAnswers): (request: Request) => Response | Promise<Response> {
  const bodies = new Map(
    Object.entries(answers).map(([path, { sizeBytes, headers }]) =>
      [path, { bytes: new Uint8Array(sizeBytes).fill(120), headers }] as const
    ),
  );
  const memory = new Uint8Array(memoryBytes).fill(1);
  const putHeaders = { etag: '"00000000-0000000000"' };
  let offset = 0;

  const copy = (chunk: Uint8Array) => {
    if (offset + chunk.byteLength > memoryBytes) offset = 0;
    memory.set(chunk, offset);
    offset += chunk.byteLength;
  };
  const put = async (request: Request) => {
    if (Number(request.headers.get("content-length")) < streamFromBytes || request.body === null) {
      copy(new Uint8Array(await request.arrayBuffer()));
    } else {
      const reader = request.body.getReader();
      for (let next = await reader.read(); !next.done; next = await reader.read()) copy(next.value);
    }
    return new Response(null, { status: 200, headers: putHeaders });
  };
  return (request) => {
    if (request.method === "PUT") return put(request);
    const { url } = request;
    const found = bodies.get(url.slice(url.indexOf("/", 8)));
    if (found === undefined) return new Response(null, { status: 404 });
    return new Response(found.bytes, { headers: found.headers });
  };
}
