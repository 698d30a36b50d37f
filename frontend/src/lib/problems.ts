/**
 * What compilers and runtimes say about places in the program: found in the output by the language's own patterns.
 *
 * The patterns come with the language (`errors` in its language.toml); nothing in here knows any of them.
 */

export interface ErrorPatterns {
  /** Each with the groups `file` and `line`, and maybe `column`, `severity`, `message`. */
  readonly places: readonly RegExp[];
  /** A line that says what went wrong, with the group `message`. */
  readonly messages: readonly RegExp[];
  /** Where, seen from the message, a trace has the call that failed. */
  readonly innermost: "above" | "below";
}

export interface Place {
  /** As it is called among the program's own files. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1; absent where none is told. */
  readonly column?: number;
}

/** A place in a line of output, and which part of that line tells of it. */
export interface Mention extends Place {
  readonly start: number;
  readonly end: number;
  readonly severity?: string;
  readonly message?: string;
}

export interface Problem extends Place {
  readonly message: string;
  readonly severity: "error" | "warning";
}

/** More of them help nobody. */
const MAX_PROBLEMS = 50;
/** Longer lines are data, and no messages. */
const MAX_LINE = 2000;

/** Which of the program's own files a name in the output means; undefined when it is somebody else's. */
export function ownFile(said: string, files: readonly string[]): string | undefined {
  const name = said.replace(/^\/workspace\//, "").replace(/^(\.\/)+/, "");
  if (files.includes(name)) return name;
  // Java tells of a file without its folders.
  const ending = files.filter((file) => file.endsWith(`/${name}`));
  return said.startsWith("/") || ending.length !== 1 ? undefined : ending[0];
}

/** The places in one line of output that are in the program's own files, in their order. */
export function mentions(line: string, { places }: ErrorPatterns, files: readonly string[]): Mention[] {
  if (line.length > MAX_LINE) return [];
  const found: Mention[] = [];
  for (const pattern of places) {
    for (const match of line.matchAll(pattern)) {
      const { file = "", line: number = "", column, severity, message } = match.groups ?? {};
      const own = ownFile(file, files);
      if (own === undefined || !/^\d{1,9}$/.test(number)) continue;
      // The whole match less the message behind it: that is text to read, not an address.
      const text = message === undefined ? match[0] : match[0].slice(0, match[0].lastIndexOf(message));
      const length = text.replace(/[:\s]+(?:(?:fatal )?error|warning|note)?[:\s]*$/, "").length;
      const mention: Mention = {
        file: own,
        line: Number(number),
        start: match.index,
        end: match.index + length,
        ...(column !== undefined && { column: Number(column) }),
        ...(severity !== undefined && { severity }),
        ...(message !== undefined && { message }),
      };
      if (!found.some(({ start, end }) => mention.start < end && start < mention.end)) found.push(mention);
    }
  }
  return found.sort((one, other) => one.start - other.start);
}

function firstMatch(line: string, patterns: readonly RegExp[]): string | undefined {
  if (line.length > MAX_LINE) return undefined;
  for (const pattern of patterns) {
    const message = [...line.matchAll(pattern)][0]?.groups?.["message"];
    if (message !== undefined) return message.trim();
  }
  return undefined;
}

const asProblem = ({ file, line, column }: Mention, message: string, severity: Problem["severity"]): Problem => ({
  file,
  line,
  message,
  severity,
  ...(column !== undefined && { column }),
});

/** What a trace tells: the innermost place in own code, and what happened there. */
function traced(lines: readonly string[], patterns: ErrorPatterns, files: readonly string[]): Problem[] {
  const at = lines.map((line) => mentions(line, patterns, files).at(-1));
  const lastPlace = at.findLastIndex((mention) => mention !== undefined);
  if (lastPlace < 0) return [];
  if (patterns.innermost === "above") {
    for (let i = lastPlace + 1; i < lines.length; i++) {
      const message = firstMatch(lines[i] ?? "", patterns.messages);
      const place = at[lastPlace];
      if (message !== undefined && place) return [asProblem(place, message, "error")];
    }
    return [];
  }
  const says = lines.map((line) => firstMatch(line, patterns.messages));
  const last = says.findLastIndex((message) => message !== undefined);
  if (last < 0) return [];
  // A syntax error has its place above, and no call of its own below.
  const place = at.slice(last).find((mention) => mention !== undefined) ?? at.slice(0, last).findLast((mention) => mention);
  return place ? [asProblem(place, says[last] ?? "", "error")] : [];
}

/**
 * The problems that an output tells of, the one to look at first in front: a compiler's errors and warnings, or
 * else what the last trace says.
 *
 * Args: `output` without control sequences; `files` the names of the program's own files.
 */
export function findProblems(output: string, patterns: ErrorPatterns, files: readonly string[]): Problem[] {
  const lines = output.split(/\r?\n/);
  const diagnosed = lines.flatMap((line) =>
    mentions(line, patterns, files).flatMap((mention) => {
      const { severity = "", message } = mention;
      if (message === undefined || !/error|warning/.test(severity)) return [];
      return [asProblem(mention, message, severity.includes("error") ? "error" : "warning")];
    }),
  );
  const found = diagnosed.length > 0 ? diagnosed : traced(lines, patterns, files);
  const errors = found.filter(({ severity }) => severity === "error");
  return [...errors, ...found.filter(({ severity }) => severity === "warning")].slice(0, MAX_PROBLEMS);
}
