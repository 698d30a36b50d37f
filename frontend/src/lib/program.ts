/** A program as it is kept in the browser: its files, its name, and which changes it holds. */

import { isRecord } from "../wire";
import { parseProject, sameProject, type Project } from "./project";

/**
 * The changes that a program holds: of each page that changed it the number of its last change, the latest first.
 *
 * With it one page can tell whether another has gone on from what it knows itself, or from something else.
 */
export type Version = readonly (readonly [page: string, change: number])[];

export interface Program {
  readonly id: string;
  readonly name: string;
  readonly language: string;
  readonly project: Project;
  /** When it was changed last, in milliseconds since 1970; 0 for one that nobody has changed yet. */
  readonly changed: number;
  readonly version: Version;
  /** The name of the example that it began as. */
  readonly example?: string;
}

/** Enough for every page that can have a program open at once; a page that is forgotten costs a needless copy. */
const MAX_PAGES = 16;
const MAX_NAME = 80;

/** Random letters and digits. `crypto.randomUUID` is not there for pages that come over plain HTTP. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The version after a change that this page makes. */
export function advance(version: Version, page: string): Version {
  const earlier = version.find(([other]) => other === page)?.[1] ?? 0;
  const others = version.filter(([other]) => other !== page);
  return [[page, earlier + 1] as const, ...others].slice(0, MAX_PAGES);
}

/** Whether the change that `earlier` ends with is part of `later`. */
export function includes(later: Version, earlier: Version): boolean {
  const [last] = earlier;
  return last === undefined || later.some(([page, change]) => page === last[0] && change >= last[1]);
}

export function sameVersion(one: Version, other: Version): boolean {
  return one.length > 0 && one[0]?.[0] === other[0]?.[0] && one[0]?.[1] === other[0]?.[1];
}

export function sameContent(one: Program, other: Program): boolean {
  return one.name === other.name && one.language === other.language && sameProject(one.project, other.project);
}

export const isEmpty = ({ files }: Project): boolean => files.every(({ text }) => text.trim() === "");

/** Whether it can be had again any time: an example or an empty program that nobody has changed. */
export const isReplaceable = ({ changed, example, project }: Program): boolean =>
  changed === 0 && (example !== undefined || isEmpty(project));

const isChange = (value: unknown): value is Version[number] =>
  Array.isArray(value) && value.length === 2 && typeof value[0] === "string" && typeof value[1] === "number";

/** Reads what `programRecord` has made; undefined when it is something else. */
export function parseProgram(id: string, value: unknown): Program | undefined {
  const project = parseProject(value);
  if (!project || !isRecord(value)) return undefined;
  const { name, language, changed, version, example } = value;
  if (typeof name !== "string" || typeof language !== "string") return undefined;
  return {
    id,
    name: name.slice(0, MAX_NAME),
    language,
    project,
    changed: typeof changed === "number" ? changed : 0,
    version: Array.isArray(version) ? version.filter(isChange) : [],
    ...(typeof example === "string" ? { example } : {}),
  };
}

/** What is stored of a program under its id. */
export function programRecord({ name, language, project, changed, version, example }: Program): Record<string, unknown> {
  return { name, language, changed, version, ...(example === undefined ? {} : { example }), ...project };
}

/** What is wrong with a program's name, in words; undefined when nothing is. */
export function programNameProblem(name: string): string | undefined {
  if (name === "") return "A program needs a name.";
  if (name.length > MAX_NAME) return `A program's name has ${MAX_NAME} characters at most.`;
  return /[\p{Cc}\u2028\u2029]/u.test(name) ? "A program's name can't hold control characters." : undefined;
}

/** `wanted`, with a number behind it where others have that name already. */
export function freeProgramName(wanted: string, others: readonly string[]): string {
  const stem = wanted.replace(/ \d+$/, "").slice(0, MAX_NAME - 5) || wanted;
  let name = wanted.slice(0, MAX_NAME);
  for (let i = 2; others.includes(name); i++) name = `${stem} ${i}`;
  return name;
}

const MAX_LINE = 60;

/** The first line of the main file that says something, to know a program by. */
export function firstLine({ files }: Project): string {
  const lines = (files[0]?.text ?? "").slice(0, 4000).split("\n").map((line) => line.trim());
  // Lines of imports are the same in many programs, and brackets say nothing.
  const line = lines.find((it) => /\w/.test(it) && !/^(#include|import|from|using|package)\b/.test(it)) ?? lines.find(Boolean) ?? "";
  return line.length > MAX_LINE ? `${line.slice(0, MAX_LINE)}…` : line;
}
