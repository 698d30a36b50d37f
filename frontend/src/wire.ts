/**
 * The messages of the WebSocket, as docs/api.md defines them.
 *
 * What comes in is checked here, once: a message of an unknown type is left out, since later servers may add
 * types, and the rest of the page can rely on the shapes.
 */

export type StateName = "waiting" | "compiling" | "running" | "finished" | "terminated";

/** A file that the program left, as far as a final state tells. */
export interface FileInfo {
  readonly name: string;
  readonly size: number;
}

/** A file that could not be kept. */
export interface OmittedFile {
  readonly name: string;
  readonly reason: string;
}

export interface SessionState {
  readonly state: StateName;
  readonly stage?: string;
  readonly position?: number;
  readonly reason?: string;
  readonly message?: string;
  readonly exitCode?: number;
  readonly signal?: string;
  readonly wallTime?: number;
  readonly cpuTime?: number;
  readonly peakMemory?: number;
  readonly hit?: readonly string[];
  readonly outputTruncated?: boolean;
  readonly files?: readonly FileInfo[];
  readonly filesOmitted?: readonly OmittedFile[];
}

export type Stream = "stdout" | "stderr";

export type ServerMessage =
  | { readonly type: Stream; readonly data: string; readonly seq: number }
  | ({ readonly type: "state"; readonly seq: number } & SessionState)
  | { readonly type: "input_wait"; readonly waiting: boolean }
  | { readonly type: "activity"; readonly sleeping: boolean }
  | { readonly type: "idle"; readonly endsIn: number | null }
  | { readonly type: "watchers"; readonly count: number }
  | { readonly type: "error"; readonly error: string; readonly code: string };

export type ClientMessage =
  | { readonly type: "input"; readonly data: string }
  | { readonly type: "eof" }
  | { readonly type: "alive" }
  | { readonly type: "signal"; readonly signal: string }
  | { readonly type: "resize"; readonly rows: number; readonly cols: number }
  | { readonly type: "leave" }
  | { readonly type: "stop" };

const STATES: ReadonlySet<string> = new Set(["waiting", "compiling", "running", "finished", "terminated"]);

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isFinal(state: SessionState): boolean {
  return state.state === "finished" || state.state === "terminated";
}

const isFileInfo = (value: unknown): value is FileInfo =>
  isRecord(value) && typeof value["name"] === "string" && typeof value["size"] === "number";

export const isOmittedFile = (value: unknown): value is OmittedFile =>
  isRecord(value) && typeof value["name"] === "string" && typeof value["reason"] === "string";

/** The state fields of a `state` message or of `GET /session/{id}`; undefined when there is no such state. */
export function parseState(value: Record<string, unknown>): SessionState | undefined {
  if (typeof value["state"] !== "string" || !STATES.has(value["state"])) return undefined;
  const result: Record<string, unknown> = { state: value["state"] };
  for (const name of ["stage", "reason", "message", "signal"]) {
    if (typeof value[name] === "string") result[name] = value[name];
  }
  for (const name of ["position", "exitCode", "wallTime", "cpuTime", "peakMemory"]) {
    if (typeof value[name] === "number") result[name] = value[name];
  }
  if (typeof value["outputTruncated"] === "boolean") result["outputTruncated"] = value["outputTruncated"];
  const { files, filesOmitted, hit } = value;
  if (Array.isArray(hit)) result["hit"] = hit.filter((name) => typeof name === "string");
  if (Array.isArray(files)) result["files"] = files.filter(isFileInfo);
  if (Array.isArray(filesOmitted)) result["filesOmitted"] = filesOmitted.filter(isOmittedFile);
  return result as unknown as SessionState;
}

export function parseServerMessage(text: string): ServerMessage | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(value)) return undefined;
  const { type, data, seq, waiting, sleeping, endsIn, count, error, code } = value;
  switch (type) {
    case "stdout":
    case "stderr":
      return typeof data === "string" && typeof seq === "number" ? { type, data, seq } : undefined;
    case "state": {
      const state = parseState(value);
      return state && typeof seq === "number" ? { type, seq, ...state } : undefined;
    }
    case "activity":
      return typeof sleeping === "boolean" ? { type, sleeping } : undefined;
    case "idle":
      return endsIn === null || typeof endsIn === "number" ? { type, endsIn } : undefined;
    case "watchers":
      return typeof count === "number" ? { type, count } : undefined;
    case "input_wait":
      return typeof waiting === "boolean" ? { type, waiting } : undefined;
    case "error":
      return typeof error === "string" ? { type, error, code: typeof code === "string" ? code : "" } : undefined;
    default:
      return undefined;
  }
}
