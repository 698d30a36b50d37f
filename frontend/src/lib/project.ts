/** What a program consists of: files, the first of which is the main one, and arguments. */

import { isRecord } from "../wire";
import { parseTests, sameTests, type Test } from "./cases";

export interface SourceFile {
  readonly name: string;
  readonly text: string;
}

export interface Project {
  readonly files: readonly SourceFile[];
  readonly args: string;
  readonly tests?: readonly Test[];
}

/** The server's own bounds, said while typing rather than after running. */
export const MAX_FILES = 64;
const MAX_NAME_BYTES = 512;
const MAX_PART_BYTES = 255;

const size = (text: string): number => new TextEncoder().encode(text).length;

/** What is wrong with a file name, in words; undefined when nothing is. */
export function fileNameProblem(name: string, others: readonly string[]): string | undefined {
  const parts = name.split("/");
  if (name === "") return "A file needs a name.";
  if (/[\p{C}\u2028\u2029]/u.test(name)) return "A file name can't hold control characters.";
  if (parts.some((part) => part === "")) return "A file name can't begin or end with a slash, or hold two in a row.";
  if (parts.some((part) => part === "." || part === "..")) return "A file name can't leave its folder with dots.";
  if (size(name) > MAX_NAME_BYTES || parts.some((part) => size(part) > MAX_PART_BYTES)) {
    return "This file name is too long.";
  }
  if (others.includes(name)) return "There is a file of this name already.";
  for (const other of others) {
    if (other.startsWith(`${name}/`)) return `“${name}” is a folder already.`;
    if (name.startsWith(`${other}/`)) return `“${other}” is a file, so it can't be a folder too.`;
  }
  return undefined;
}

/** A free name of the main file's kind. */
export function freeFileName(project: Project): string {
  const main = project.files[0]?.name ?? "";
  const dot = main.lastIndexOf(".");
  const ending = dot > 0 ? main.slice(dot) : ".txt";
  const names = project.files.map((file) => file.name);
  // Java's tools expect a file's name to be that of its class, which begins with a capital letter.
  const stem = ending === ".java" ? "Other" : "other";
  for (let i = 1; ; i++) {
    const name = `${stem}${i === 1 ? "" : i}${ending}`;
    if (fileNameProblem(name, names) === undefined) return name;
  }
}

export function addFile(project: Project, name: string): Project {
  return { ...project, files: [...project.files, { name, text: "" }] };
}

export function renameFile(project: Project, index: number, name: string): Project {
  return { ...project, files: project.files.map((file, i) => (i === index ? { ...file, name } : file)) };
}

export function moveFile(project: Project, from: number, to: number): Project {
  const files = [...project.files];
  files.splice(to, 0, ...files.splice(from, 1));
  return { ...project, files };
}

export function removeFile(project: Project, index: number): Project {
  return { ...project, files: project.files.filter((_, i) => i !== index) };
}

export function sameProject(one: Project, other: Project): boolean {
  return (
    one.args === other.args &&
    sameTests(one.tests, other.tests) &&
    one.files.length === other.files.length &&
    one.files.every((file, i) => file.name === other.files[i]?.name && file.text === other.files[i].text)
  );
}

/** The editor has lines, not the characters that end them: texts are kept as it gives them back. */
export const withLineFeeds = (text: string): string => text.replace(/\r\n?/g, "\n");

/** Reads a project from outside (storage, a shared link); undefined unless every part of it is usable. */
export function parseProject(value: unknown): Project | undefined {
  if (!isRecord(value) || typeof value["args"] !== "string" || !Array.isArray(value["files"])) return undefined;
  const files: SourceFile[] = [];
  for (const file of value["files"] as unknown[]) {
    if (!isRecord(file) || typeof file["name"] !== "string" || typeof file["text"] !== "string") return undefined;
    if (fileNameProblem(file["name"], files.map((earlier) => earlier.name)) !== undefined) return undefined;
    files.push({ name: file["name"], text: withLineFeeds(file["text"]) });
  }
  if (files.length === 0 || files.length > MAX_FILES) return undefined;
  const tests = parseTests(value["tests"]);
  if (!tests) return undefined;
  return { files, args: value["args"], ...(tests.length > 0 && { tests }) };
}
