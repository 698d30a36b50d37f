/**
 * What an address asks for behind its `#`, which no server gets to see: a language, a program, how it is shown.
 *
 * Anybody may have made it. What can't be used is left out, and said in a sentence.
 */

import { fileNameProblem, withLineFeeds } from "./project";
import { decodeShared, type Shared } from "./share";

export interface Address {
  readonly language?: string;
  /** The program of a shared link; null where it is damaged. */
  readonly code?: Shared | null;
  /** A program as plain text, and what its file is called. */
  readonly text?: string;
  readonly file?: string;
  readonly theme?: "light" | "dark";
  /** What a program that somebody else runs is watched by. */
  readonly watch?: string;
  /** Whether to run it at once. */
  readonly run: boolean;
  /** Whether it is to be read, not changed. */
  readonly readOnly: boolean;
  readonly problems: readonly string[];
}

export interface AddressedLanguage {
  readonly name: string;
  readonly title: string;
  readonly aliases: readonly string[];
  readonly sourceFile: string;
  readonly extensions: readonly string[];
}

const NAMES = ["lang", "code", "text", "file", "theme", "watch", "run", "readonly"] as const;
type Name = (typeof NAMES)[number];

/** Texts of which a link can be made with some effort; above it, it was made to hurt. */
const MAX_TEXT = 1_000_000;
const MAX_SHOWN = 40;

const shown = (value: string): string => `“${value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}…` : value}”`;

/** Reads a fragment, without its `#`; undefined when it is none of ours. */
export async function parseAddress(fragment: string): Promise<Address | undefined> {
  const values = new Map<Name, string>();
  const problems: string[] = [];
  for (const part of fragment.split("&")) {
    const [key = "", ...rest] = part.split("=");
    const name = NAMES.find((it) => it === key);
    if (!name || rest.length === 0) continue;
    try {
      // A plus is a plus: programs have many, and whoever encodes them writes %2B.
      values.set(name, decodeURIComponent(rest.join("=")));
    } catch {
      problems.push(`This link's “${name}” is damaged: a % in it is followed by something else than two digits of a character.`);
    }
  }
  if (values.size === 0 && problems.length === 0) return undefined;

  const flag = (name: "run" | "readonly"): boolean => {
    const value = values.get(name);
    if (value !== undefined && value !== "1" && value !== "0") problems.push(`This link's “${name}” is ${shown(value)}; it can be 1 or 0.`);
    return value === "1";
  };
  const theme = values.get("theme");
  if (theme !== undefined && theme !== "light" && theme !== "dark") {
    problems.push(`This link's “theme” is ${shown(theme)}; it can be light or dark.`);
  }
  const file = values.get("file");
  const fileProblem = file === undefined ? undefined : fileNameProblem(file, []);
  if (file !== undefined && fileProblem !== undefined) problems.push(`This link's file can't be called ${shown(file)}. ${fileProblem}`);
  const text = values.get("text");
  if (text !== undefined && text.length > MAX_TEXT) problems.push("This link's text is longer than a program can be.");
  const packed = values.get("code");
  const code = packed === undefined ? undefined : ((await decodeShared(`code=${packed}`)) ?? null);
  if (code === null) problems.push("This link is damaged, so its code can't be opened. It may have been cut when it was sent.");
  const language = values.get("lang");
  const watch = values.get("watch");
  if (watch !== undefined && !/^[\w.-]+$/.test(watch)) problems.push("This link is damaged, so the program that it lets you watch can't be found.");
  return {
    ...(watch !== undefined && { watch }),
    ...(language !== undefined && { language }),
    ...(code !== undefined && { code }),
    ...(text !== undefined && text.length <= MAX_TEXT && { text: withLineFeeds(text) }),
    ...(file !== undefined && fileProblem === undefined && { file }),
    ...((theme === "light" || theme === "dark") && { theme }),
    run: flag("run"),
    readOnly: flag("readonly"),
    problems,
  };
}

export function findLanguage<T extends AddressedLanguage>(name: string, languages: readonly T[]): T | undefined {
  const wanted = name.toLowerCase();
  return languages.find((it) => it.name === wanted) ?? languages.find(({ aliases }) => aliases.includes(wanted));
}

export interface Addressed {
  /** The program to open, in a language that the server has. */
  readonly shared?: Shared;
  /** The language to open where there is no program. */
  readonly language?: string;
  readonly problems: readonly string[];
}

/** What of it this server can do; `open` is the language of a text that names none. */
export function resolveAddress(address: Address, languages: readonly AddressedLanguage[], open: string): Addressed {
  const problems = [...address.problems];
  const wanted = address.code?.language ?? address.language;
  const found = wanted === undefined ? undefined : findLanguage(wanted, languages);
  if (wanted !== undefined && !found) {
    problems.push(`This link's code is in ${shown(wanted)}, which this server does not have.`);
    return { problems };
  }
  if (address.code === null) return { problems };
  if (address.code && found) return { shared: { ...address.code, language: found.name }, problems };
  if (address.text === undefined) return { ...(found && { language: found.name }), problems };
  const ending = /\.([^./]+)$/.exec(address.file ?? "")?.[1];
  const language =
    found ??
    languages.find(({ extensions }) => ending !== undefined && extensions.includes(ending)) ??
    languages.find(({ name }) => name === open);
  if (!language) return { problems };
  const project = { files: [{ name: address.file ?? language.sourceFile, text: address.text }], args: "" };
  return { shared: { language: language.name, project }, problems };
}
