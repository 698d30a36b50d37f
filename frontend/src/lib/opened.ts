/** Local files that somebody opens: which program they are, or in a sentence why they are none. */

import { bytes } from "./format";
import { fileNameProblem, MAX_FILES, withLineFeeds, type Project, type SourceFile } from "./project";
import type { Entry } from "./zip";

export interface LanguageFiles {
  readonly name: string;
  readonly title: string;
  readonly sourceFile: string;
  readonly extensions: readonly string[];
}

export interface Opened {
  /** What the program is called. */
  readonly name: string;
  readonly language: string;
  readonly project: Project;
  /** What there is to say about it, in sentences; "" when there is nothing. */
  readonly words: string;
}

export type Opening = Opened | { readonly problem: string };

/** Beyond this, servers take no program, and browsers keep none. */
export const MAX_OPENED = 1_000_000;

/** What archives and folders carry along without anybody having put it there. */
const CLUTTER = /(^|\/)(__MACOSX|\.DS_Store|Thumbs\.db|\.git|__pycache__|node_modules)(\/|$)/;

const lastPart = (name: string): string => name.slice(name.lastIndexOf("/") + 1);
const ending = (name: string): string => /\.([^./]+)$/.exec(name)?.[1] ?? "";

const quoted = (names: readonly string[]): string => {
  const shown = names.slice(0, 3).map((name) => `“${name}”`);
  if (names.length > shown.length) shown.push(`${names.length - shown.length} more`);
  return shown.length < 2 ? shown.join("") : `${shown.slice(0, -1).join(", ")} and ${shown.at(-1) ?? ""}`;
};

/** The text of a file; undefined for one that is none. */
export function textOf(content: Uint8Array): string | undefined {
  const [first, second] = content;
  const encoding = first === 0xff && second === 0xfe ? "utf-16le" : first === 0xfe && second === 0xff ? "utf-16be" : "utf-8";
  try {
    const text = new TextDecoder(encoding, { fatal: true }).decode(content);
    return text.includes("\0") ? undefined : withLineFeeds(text);
  } catch {
    return undefined;
  }
}

/** The text of a file in the encoding that Windows had before UTF-8; undefined where it would be full of control characters. */
function westernText(content: Uint8Array): string | undefined {
  const text = new TextDecoder("windows-1252").decode(content);
  // eslint-disable-next-line no-control-regex -- control characters are what it is about
  return /[\u0000-\u0008\u000e-\u001a\u001c-\u001f\u0080-\u009f]/.test(text) ? undefined : withLineFeeds(text);
}

/** Whose files end like that: by the letter first, since `.C` is C++ for some, then whatever the case. */
function languageOf(name: string, languages: readonly LanguageFiles[]): LanguageFiles | undefined {
  const end = ending(name);
  return (
    languages.find(({ extensions }) => extensions.includes(end)) ??
    languages.find(({ extensions }) => extensions.some((it) => it.toLowerCase() === end.toLowerCase()))
  );
}

/** Archives often hold one folder with everything in it, which nobody means to be part of the program. */
function withoutCommonFolder(entries: readonly Entry[]): readonly Entry[] {
  const folder = /^[^/]+\//.exec(entries[0]?.name ?? "")?.[0];
  if (folder === undefined || !entries.every(({ name }) => name.startsWith(folder))) return entries;
  return withoutCommonFolder(entries.map(({ name, content }) => ({ name: name.slice(folder.length), content })));
}

/** How likely a file is the main one; the lowest number is. */
function rank(name: string, languages: readonly LanguageFiles[], preferred: string): number {
  const language = languageOf(name, languages);
  if (!language) return 100;
  const depth = name.split("/").length;
  const usual = language.sourceFile === lastPart(name) ? 0 : /^main\./i.test(lastPart(name)) ? 10 : 20;
  return usual + Math.min(depth, 8) + (language.name === preferred ? 0 : 0.5);
}

/**
 * Makes a program of files.
 *
 * @param entries what was opened, or was in an archive.
 * @param title the archive's or folder's name; undefined for files that were chosen by themselves.
 * @param preferred the language that is open.
 */
export function openFiles(
  entries: readonly Entry[],
  title: string | undefined,
  languages: readonly LanguageFiles[],
  preferred: string,
): Opening {
  const wanted = withoutCommonFolder(entries.filter(({ name }) => !name.endsWith("/") && !CLUTTER.test(name)));
  if (wanted.length === 0) return { problem: title === undefined ? "There is no file in what was opened." : `“${title}” holds no files.` };
  if (wanted.length > MAX_FILES) {
    return { problem: `A program can have ${MAX_FILES} files at most, and these are ${wanted.length}. Open those that it needs.` };
  }
  const total = wanted.reduce((sum, { content }) => sum + content.length, 0);
  if (total > MAX_OPENED) {
    const what = wanted.length === 1 ? `“${wanted[0]?.name ?? ""}” is` : "These files together are";
    return { problem: `${what} ${bytes(total)}, and a program can be ${bytes(MAX_OPENED)} at most.` };
  }
  const files: SourceFile[] = [];
  const binary: string[] = [];
  const western: string[] = [];
  for (const { name, content } of wanted) {
    const unicode = textOf(content);
    const text = unicode ?? westernText(content);
    if (unicode === undefined && text !== undefined) western.push(name);
    const problem = fileNameProblem(name, files.map((it) => it.name));
    if (text === undefined) binary.push(name);
    else if (problem !== undefined) return { problem: `“${name}” can't be opened. ${problem}` };
    else files.push({ name, text });
  }
  if (files.length === 0) {
    return { problem: `${quoted(binary)} ${binary.length === 1 ? "is" : "are"} no text, and programs here are made of text files.` };
  }
  const ranked = [...files].sort(
    (one, other) => rank(one.name, languages, preferred) - rank(other.name, languages, preferred) || one.name.localeCompare(other.name),
  );
  const [main, ...others] = ranked;
  if (!main) return { problem: "There is no file in what was opened." };
  const language = languageOf(main.name, languages) ?? languages.find(({ name }) => name === preferred) ?? languages[0];
  if (!language) return { problem: "This server has no languages." };
  const words: string[] = [];
  if (binary.length > 0) words.push(`Left out, since ${binary.length === 1 ? "it is" : "they are"} no text: ${quoted(binary)}.`);
  if (western.length > 0) words.push(`Not in UTF-8, and read as Western European text: ${quoted(western)}.`);
  if (!languageOf(main.name, languages)) {
    words.push(`No language here is known by the name “${lastPart(main.name)}”, so it is opened as ${language.title}.`);
  }
  return {
    name: title ?? (others.length === 0 ? lastPart(main.name) : main.name),
    language: language.name,
    project: { files: [main, ...others.sort((one, other) => one.name.localeCompare(other.name))], args: "" },
    words: words.join(" "),
  };
}
