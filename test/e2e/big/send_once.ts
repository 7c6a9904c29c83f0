import { type Address, Connection, type HttpRequest } from "../support/http/connection.ts";
import type { HttpResponse } from "../support/http/http_response.ts";

/**
 * Sends one request on a connection of its own, hands the answer over while its body is still to be read, and closes.
 */
export async function sendOnce<T>(
  address: Address,
  request: HttpRequest,
  use: (response: HttpResponse) => Promise<T>,
): Promise<T> {
  const connection = await Connection.open(address);
  try {
    return await use(await connection.send(request));
  } finally {
    connection.close();
  }
}
