import { SaxesParser } from "saxes";
import type { Exchange, Refusal } from "../../exchange.ts";
import { replyText } from "../../http/reply.ts";
import { pathOf, targetOf } from "../../http/target.ts";
import { s3CodeOf, s3Error } from "./s3_error.ts";

/** An element: its name, and its text or its children. One without a value is left out. */
export type XmlElement = readonly [name: string, content: XmlContent];
type XmlContent = string | number | boolean | undefined | readonly XmlElement[];

const NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/";
const ESCAPES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** Answers with a document. An error has no namespace, every other document S3's. */
export function replyXml(
  exchange: Exchange,
  [root, content]: XmlElement,
  { status = 200, headers = {} }: {
    readonly status?: number;
    readonly headers?: Readonly<Record<string, string>>;
  } = {},
): Response {
  const namespace = root === "Error" ? "" : ` xmlns="${NAMESPACE}"`;
  const text = `<?xml version="1.0" encoding="UTF-8"?>\n<${root}${namespace}>${formatXml(content)}</${root}>`;
  const response = replyText(exchange, text, { type: "application/xml", status });
  for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
  return response;
}

/** An element's content as text. */
export function formatXml(content: XmlContent): string {
  if (content === undefined) return "";
  if (typeof content !== "object") return escapeText(String(content));
  return content
    .filter(([, each]) => each !== undefined)
    .map(([name, each]) => `<${name}>${formatXml(each)}</${name}>`)
    .join("");
}

/**
 * Control characters become references, as S3 writes them, although XML 1.0 has no way to express most of them: clients
 * that list such keys ask for `encoding-type=url`.
 */
function escapeText(text: string): string {
  return text.replace(/[&<>"\p{Cc}\ufffe\uffff]/gu, (each) => {
    return ESCAPES[each] ?? `&#x${each.charCodeAt(0).toString(16)};`;
  });
}

/** An element of a request's document. */
export interface XmlNode {
  readonly name: string;
  /** The text directly in it. */
  readonly text: string;
  readonly children: readonly XmlNode[];
}

interface OpenNode {
  readonly name: string;
  text: string;
  readonly children: OpenNode[];
}

/** More levels than any document of S3 has. */
const MAX_DEPTH = 8;

/**
 * Parses a document. Throws MalformedXML unless it is well-formed, with this root, and without a document type:
 * entities other than XML's own do not exist.
 */
export function parseXml(text: string, root: string): XmlNode {
  const top: OpenNode = { name: "", text: "", children: [] };
  const open: OpenNode[] = [top];
  const parser = new SaxesParser();
  const fail = (reason: string): never => {
    throw s3Error("MalformedXML", `parse XML: ${reason}`);
  };
  parser.on("error", (error) => fail(error.message));
  parser.on("doctype", () => fail("a document type"));
  parser.on("opentag", ({ name }) => {
    if (open.length > MAX_DEPTH) fail(`more than ${MAX_DEPTH} levels`);
    const node: OpenNode = { name: name.slice(name.indexOf(":") + 1), text: "", children: [] };
    open.at(-1)?.children.push(node);
    open.push(node);
  });
  const addText = (text: string) => {
    const node = open.at(-1);
    if (node !== undefined) node.text += text;
  };
  parser.on("text", addText);
  parser.on("cdata", addText);
  parser.on("closetag", () => void open.pop());
  parser.write(text).close();
  const [document] = top.children;
  if (document === undefined || document.name !== root) return fail(`the root is not ${root}`);
  return document;
}

/** The children of this name. */
export function childrenOf(node: XmlNode, name: string): readonly XmlNode[] {
  return node.children.filter((child) => child.name === name);
}

/** The text of the first child of this name; undefined if there is none. */
export function textOf(node: XmlNode, name: string): string | undefined {
  return node.children.find((child) => child.name === name)?.text;
}

/** Answers with an error as S3 does. This is the only place that chooses the status of a refusal of an S3 request. */
export function s3Refusal(
  exchange: Exchange,
  request: Request,
  refusal: Refusal,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const { code, status } = s3CodeOf(refusal);
  const extra: Record<string, string> = { ...headers };
  if (status === 503) extra["retry-after"] = "1";
  if (refusal.details?.["size_bytes"] !== undefined && status === 416) {
    extra["content-range"] = `bytes */${refusal.details["size_bytes"]}`;
  }
  return replyXml(exchange, [
    "Error",
    [
      ["Code", code],
      ["Message", refusal.message],
      ["Resource", pathOf(targetOf(request.url) ?? "/")],
      ["RequestId", newRequestId()],
    ],
  ], { status, headers: extra });
}

/** A name for a response, as S3 gives one to each. */
export function newRequestId(): string {
  return crypto.randomUUID().replaceAll("-", "").slice(0, 16).toUpperCase();
}
