/**
 * A project as the fragment of a link: JSON, deflated, in the letters that URLs allow.
 *
 * A fragment is never sent to a server, so what is shared stays between those who share it. What comes back
 * out was written by anybody: it is bounded in size and checked like all other outside data.
 */

import { isRecord } from "../wire";
import { parseProject, type Project } from "./project";

export interface Shared {
  readonly language: string;
  /** Whether it runs in a terminal; undefined where that is for whoever opens it to say. */
  readonly tty?: boolean;
  readonly project: Project;
}

const PREFIX = "code=";
/** Far above any program that fits a link, far below what hurts a browser. */
const MAX_TEXT = 4_000_000;

function toBase64Url(data: Uint8Array): string {
  let binary = "";
  for (const byte of data) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function fromBase64Url(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/** The bytes that come out of a transformation; throws when they are more than `limit`. */
async function transformed(
  input: Uint8Array<ArrayBuffer>,
  transformation: CompressionStream | DecompressionStream,
  limit = Infinity,
): Promise<Uint8Array<ArrayBuffer>> {
  const reader = new Blob([input]).stream().pipeThrough(transformation).getReader();
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  for (let total = 0; ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    total += value.length;
    if (total > limit) {
      await reader.cancel();
      throw new RangeError("too much text");
    }
    chunks.push(value);
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

export async function encodeShared({ language, tty, project }: Shared): Promise<string> {
  const text = JSON.stringify({ language, tty, ...project });
  const deflated = await transformed(new TextEncoder().encode(text), new CompressionStream("deflate-raw"));
  return PREFIX + toBase64Url(deflated);
}

/** Reads a fragment, without its `#`: undefined when it is not ours, null when it is ours and broken. */
export async function decodeShared(fragment: string): Promise<Shared | undefined | null> {
  if (!fragment.startsWith(PREFIX)) return undefined;
  try {
    const deflated = fromBase64Url(fragment.slice(PREFIX.length));
    const inflated = await transformed(deflated, new DecompressionStream("deflate-raw"), MAX_TEXT);
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(inflated));
    const project = parseProject(value);
    if (!project || !isRecord(value) || typeof value["language"] !== "string") return null;
    return { language: value["language"], tty: value["tty"] !== false, project };
  } catch {
    // Cut short, not base64, not deflated, not JSON: for whoever opened the link they are one.
    return null;
  }
}
