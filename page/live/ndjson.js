// @ts-check

/**
 * The JSON values of a body with one a line, as they arrive; empty lines keep a connection open and are skipped.
 * @param {ReadableStream<Uint8Array<ArrayBuffer>>} body
 * @returns {AsyncGenerator<unknown, void, void>}
 */
export async function* readNdjson(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line.trim() !== "") yield JSON.parse(line);
    }
  } finally {
    // Whoever stops reading closes the connection.
    await reader.cancel();
  }
  if (rest.trim() !== "") yield JSON.parse(rest);
}
