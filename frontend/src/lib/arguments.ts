/** Splits a line into program arguments, as a shell does: spaces separate, quotes and backslashes keep. */

export type Arguments = { readonly args: readonly string[] } | { readonly problem: string };

export function splitArguments(line: string): Arguments {
  const args: string[] = [];
  let current: string | undefined;
  let quote: string | undefined;
  for (let i = 0; i < line.length; i++) {
    const character = line.charAt(i);
    const next = line.charAt(i + 1);
    if (quote === "'") {
      if (character === quote) quote = undefined;
      else current = (current ?? "") + character;
    } else if (character === "\\" && (quote === undefined || next === '"' || next === "\\")) {
      if (next === "") return { problem: "The arguments end in a backslash: nothing follows for it to keep." };
      current = (current ?? "") + next;
      i++;
    } else if (quote !== undefined) {
      if (character === quote) quote = undefined;
      else current = (current ?? "") + character;
    } else if (character === '"' || character === "'") {
      quote = character;
      current ??= "";
    } else if (/\s/.test(character)) {
      if (current !== undefined) args.push(current);
      current = undefined;
    } else {
      current = (current ?? "") + character;
    }
  }
  if (quote !== undefined) return { problem: `The arguments hold a ${quote} without its partner.` };
  if (current !== undefined) args.push(current);
  return { args };
}
