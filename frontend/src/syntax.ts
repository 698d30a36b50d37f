/** Which grammar a file gets: by its name's ending, loaded when first needed. */

import type { Extension } from "@codemirror/state";
import type { LanguageSupport } from "@codemirror/language";

const python = async (): Promise<LanguageSupport> => (await import("@codemirror/lang-python")).python();
const java = async (): Promise<LanguageSupport> => (await import("@codemirror/lang-java")).java();
const cpp = async (): Promise<LanguageSupport> => (await import("@codemirror/lang-cpp")).cpp();
const javascript = async (): Promise<LanguageSupport> => (await import("@codemirror/lang-javascript")).javascript();
const typescript = async (): Promise<LanguageSupport> =>
  (await import("@codemirror/lang-javascript")).javascript({ typescript: true });

const GRAMMARS: ReadonlyMap<string, () => Promise<LanguageSupport>> = new Map([
  ["py", python],
  ["pyi", python],
  ["js", javascript],
  ["mjs", javascript],
  ["cjs", javascript],
  ["json", javascript],
  ["ts", typescript],
  ["mts", typescript],
  ["java", java],
  ["c", cpp],
  ["cc", cpp],
  ["cpp", cpp],
  ["cxx", cpp],
  ["h", cpp],
  ["hh", cpp],
  ["hpp", cpp],
  ["hxx", cpp],
  ["ipp", cpp],
]);

const TWO_SPACES: ReadonlySet<string> = new Set(["js", "mjs", "cjs", "json", "ts", "mts"]);

export function fileEnding(name: string): string {
  return /\.([^./]+)$/.exec(name)?.[1]?.toLowerCase() ?? "";
}

export function indentation(name: string): string {
  return TWO_SPACES.has(fileEnding(name)) ? "  " : "    ";
}

/** Nothing for a file of unknown kind, and for a grammar that can't be loaded: the text is editable without. */
export async function grammar(name: string): Promise<Extension> {
  try {
    return (await GRAMMARS.get(fileEnding(name))?.()) ?? [];
  } catch {
    return [];
  }
}
