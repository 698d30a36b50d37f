/** What starts a session: the first message at `/ws/run`. */

import type { Test } from "./cases";
import type { Project } from "./project";

export interface Launch {
  readonly language: string;
  readonly sourceFile: string;
  readonly project: Project;
  readonly args: readonly string[];
  /** All that the program reads; without it, what is typed while it runs. */
  readonly stdin?: string | undefined;
  readonly terminal: { readonly rows: number; readonly cols: number } | undefined;
}

/**
 * An object's text with its members in the order given: JavaScript's own objects put names that look like
 * numbers in front, and the first file is the one that runs.
 */
function orderedObject(entries: readonly (readonly [string, string])[]): string {
  return `{${entries.map(([name, text]) => `${JSON.stringify(name)}:${JSON.stringify(text)}`).join(",")}}`;
}

function sourceMembers({ language, sourceFile, project }: Pick<Launch, "language" | "sourceFile" | "project">): string[] {
  // A lone surrogate, half of a character, is no Unicode text, and the server refuses it.
  const files = project.files.map(({ name, text }) => [name, text.toWellFormed()] as const);
  const [main, ...others] = files;
  const members = [`"language":${JSON.stringify(language)}`];
  if (main?.[0] === sourceFile) {
    // The usual case, in the form that the server can start soonest.
    members.push(`"code":${JSON.stringify(main[1])}`);
    if (others.length > 0) members.push(`"files":${orderedObject(others)}`);
  } else {
    members.push(`"files":${orderedObject(files)}`);
  }
  return members;
}

/** What `POST /format` is asked. */
export function formatRequest(language: string, project: Project): string {
  // By its name, so that what comes back has names as well.
  return `{${sourceMembers({ language, sourceFile: "", project }).join(",")}}`;
}

/** What `POST /run` is asked for tests. */
export function testRequest(launch: Omit<Launch, "stdin" | "terminal">, tests: readonly Test[]): string {
  const members = sourceMembers(launch);
  if (launch.args.length > 0) members.push(`"args":${JSON.stringify(launch.args)}`);
  const runs = tests.map(({ input, expected }) => ({ stdin: input.toWellFormed(), expected: expected.toWellFormed() }));
  members.push(`"stream":true`, `"compare":"trimmed"`, `"runs":${JSON.stringify(runs)}`);
  return `{${members.join(",")}}`;
}

export function sessionRequest(launch: Launch): string {
  const members = sourceMembers(launch);
  members.push(`"collect":["**"]`);
  if (launch.args.length > 0) members.push(`"args":${JSON.stringify(launch.args)}`);
  if (launch.stdin !== undefined) members.push(`"stdin":${JSON.stringify(launch.stdin.toWellFormed())}`);
  if (launch.terminal) members.push(`"tty":true,"rows":${launch.terminal.rows},"cols":${launch.terminal.cols}`);
  return `{${members.join(",")}}`;
}
