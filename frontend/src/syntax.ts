/** Which grammar a file gets: by its name's ending, loaded when first needed. */

import type { Extension } from "@codemirror/state";
import { LanguageSupport } from "@codemirror/language";
import type { CompletionContext, CompletionResult } from "@codemirror/autocomplete";

/** What is needed less often than it comes first by its name. */
const RARE = /(?:Error|Warning|Exception|Exit|Interrupt|Group)$|^(?:breakpoint|copyright|credits|license)$/;

async function python(): Promise<LanguageSupport> {
  const { globalCompletion, localCompletionSource, pythonLanguage } = await import("@codemirror/lang-python");
  const globals = async (context: CompletionContext): Promise<CompletionResult | null> => {
    const result = await globalCompletion(context);
    return result && { ...result, options: result.options.map((it) => (RARE.test(it.label) ? { ...it, boost: -50 } : it)) };
  };
  return new LanguageSupport(pythonLanguage, [
    pythonLanguage.data.of({ autocomplete: localCompletionSource }),
    pythonLanguage.data.of({ autocomplete: globals }),
  ]);
}

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
