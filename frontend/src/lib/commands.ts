/** What the page around an embedded one can tell it, as docs/embed.md says. Anything may come: shapes are checked here. */

import { isRecord } from "../wire";
import { parseProject, type Project } from "./project";

export type Command =
  | {
      readonly type: "set";
      readonly language?: string;
      /** A program of one file, whose name is the language's usual one. */
      readonly code?: string;
      readonly files?: Project["files"];
      readonly args?: string;
      readonly stdin?: string;
    }
  | { readonly type: "run" }
  | { readonly type: "stop" }
  /** Says who is there, and nothing else. */
  | { readonly type: "hello" };

const MAX_TEXT = 1_000_000;

/** The command in a message; a sentence when it is a command that can't be used, undefined when it is none. */
export function parseCommand(data: unknown): Command | { readonly problem: string } | undefined {
  if (!isRecord(data)) return undefined;
  const { type } = data;
  if (type === "run" || type === "stop" || type === "hello") return { type };
  if (type !== "set") return undefined;
  const { language, code, files, args, stdin } = data;
  for (const [name, value] of Object.entries({ language, code, args, stdin })) {
    if (value === undefined) continue;
    if (typeof value !== "string") return { problem: `“${name}” must be a string.` };
    if (value.length > MAX_TEXT) return { problem: `“${name}” can have ${MAX_TEXT} characters at most.` };
  }
  if (code !== undefined && files !== undefined) return { problem: "Give “code” or “files”, not both." };
  const project = files === undefined ? undefined : parseProject({ files, args: "" });
  if (files !== undefined && !project) {
    return { problem: "“files” must be a list of 1 to 64 objects with a “name” and a “text”, and names that files can have." };
  }
  return {
    type,
    ...(typeof language === "string" && { language }),
    ...(typeof code === "string" && { code: code.replace(/\r\n?/g, "\n") }),
    ...(project && { files: project.files }),
    ...(typeof args === "string" && { args }),
    ...(typeof stdin === "string" && { stdin }),
  };
}
