/** The files that a program left: what the server sent, what of it is worth showing, and as what. */

import { isOmittedFile, isRecord, type OmittedFile } from "../wire";

export interface LeftFile {
  readonly name: string;
  readonly content: Uint8Array<ArrayBuffer>;
}

export interface LeftFiles {
  readonly files: readonly LeftFile[];
  readonly omitted: readonly OmittedFile[];
}

/** A file as it was sent, by its name and text. */
export type SentFile = readonly [name: string, text: string];

function fromBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(text), (byte) => byte.charCodeAt(0));
  } catch {
    return undefined;
  }
}

/** The answer to `GET /session/{id}/files`, without what is not as it should be. */
export function decodeFiles(body: unknown): LeftFiles {
  const { files, filesOmitted } = isRecord(body) ? body : {};
  return {
    files: Array.isArray(files) ? files.flatMap(decodeFile) : [],
    omitted: Array.isArray(filesOmitted) ? filesOmitted.filter(isOmittedFile) : [],
  };
}

function decodeFile(value: unknown): LeftFile[] {
  if (!isRecord(value) || typeof value["name"] !== "string" || typeof value["data"] !== "string") return [];
  const content = fromBase64(value["data"]);
  return content ? [{ name: value["name"], content }] : [];
}

/** Leaves out what was sent and is still as it was. */
export function changedFiles(files: readonly LeftFile[], sent: readonly SentFile[]): LeftFile[] {
  const texts = new Map(sent);
  return files.filter(({ name, content }) => {
    const text = texts.get(name);
    return text === undefined || !sameBytes(new TextEncoder().encode(text), content);
  });
}

const sameBytes = (one: Uint8Array, other: Uint8Array): boolean =>
  one.length === other.length && one.every((byte, i) => byte === other[i]);

/** By the bytes, since a name promises nothing; SVG, which is text, by its name. */
const SIGNATURES: readonly (readonly [type: string, begins: string, then?: string])[] = [
  ["image/png", "\x89PNG\r\n\x1a\n"],
  ["image/jpeg", "\xff\xd8\xff"],
  ["image/gif", "GIF87a"],
  ["image/gif", "GIF89a"],
  ["image/webp", "RIFF", "WEBP"],
];
/** Where the second part of a signature is, if it has one. */
const THEN = 8;

/** The type of an image that is shown; undefined for all other files. */
export function imageType({ name, content }: LeftFile): string | undefined {
  const head = String.fromCharCode(...content.subarray(0, 16));
  const found = SIGNATURES.find(([, begins, then = ""]) => head.startsWith(begins) && head.startsWith(then, THEN));
  return found?.[0] ?? (/\.svg$/i.test(name) && content.length > 0 ? "image/svg+xml" : undefined);
}

const REASONS: Readonly<Record<string, string>> = {
  too_large: "too large",
  too_many: "too many files",
  not_regular: "not a regular file",
  unreadable: "can't be read",
  timeout: "took too long",
  overloaded: "the server is busy",
};

/** How many there are, in a sentence; "" when there are none. */
export function filesTitle(count: number): string {
  if (count === 0) return "";
  return count === 1 ? "The program left a file" : `The program left ${count} files`;
}

const NAMED = 5;

/** What was not kept and why, in a sentence; "" when nothing was. */
export function omittedWords(omitted: readonly OmittedFile[]): string {
  const named = omitted.slice(0, NAMED).map(({ name, reason }) => `${name} (${REASONS[reason] ?? reason})`);
  const rest = omitted.length - named.length;
  if (rest > 0) named.push(`${rest} more`);
  return named.length === 0 ? "" : `Not kept: ${named.join(", ")}.`;
}
