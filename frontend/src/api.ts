/** The REST calls. Addresses are relative to the page, which may live below any path. */

import { withReadableSizes } from "./lib/format";
import { parseTold, type Told } from "./lib/cases";
import { decodeFiles, type LeftFiles } from "./lib/files";
import type { Probe, Socket } from "./lib/link";
import type { ErrorPatterns, Place } from "./lib/problems";
import { startOver, type Started } from "./lib/start";
import type { Limits } from "./lib/status";
import { isRecord, parseState, type SessionState } from "./wire";

export interface Example {
  readonly name: string;
  readonly title: string;
  readonly code: string;
  readonly tty: boolean;
  /** A few words about it, for those that newcomers are offered. */
  readonly note?: string;
}

export interface Language {
  readonly name: string;
  readonly title: string;
  /** Other names that it goes by. */
  readonly aliases: readonly string[];
  readonly version: string;
  readonly sourceFile: string;
  /** What names of its files end with, without the dot. */
  readonly extensions: readonly string[];
  readonly errors: ErrorPatterns;
  /** Whether the server can format programs in it. */
  readonly formats: boolean;
  readonly examples: readonly Example[];
}

export interface Catalogue {
  readonly languages: readonly Language[];
  readonly limits: Limits;
}

/** What went wrong, in words for the person in front of the page. */
export class ApiError extends Error {}

/** The server wants a key, or another one. */
export class KeyNeededError extends ApiError {}

/** What was to be formatted can't be read as a program. */
export class UnformattableError extends ApiError {
  constructor(
    message: string,
    readonly place: Place | undefined,
  ) {
    super(message);
  }
}

const START_TIMEOUT = 30_000;
const QUICK_TIMEOUT = 8_000;

const address = (path: string): URL => new URL(path, document.baseURI);
const sessionPath = (id: string): string => `session/${encodeURIComponent(id)}`;

let apiKey: string | undefined;

/** From now on this key is sent with what needs one. */
export function useKey(key: string | undefined): void {
  apiKey = key;
}

const authorization = (): Record<string, string> => (apiKey === undefined ? {} : { Authorization: `Bearer ${apiKey}` });

/** Browsers let pages set no header of a WebSocket; what they can choose are the subprotocols that they offer. */
const subprotocols = (): string[] => (apiKey === undefined ? [] : ["trio-exec", `trio-exec.key.${apiKey}`]);

const UNREACHABLE = "The server can't be reached. Your code is kept in this browser.";

function placeOf(body: unknown): Place | undefined {
  const { file, line, column } = isRecord(body) ? body : {};
  if (typeof file !== "string" || typeof line !== "number") return undefined;
  return { file, line, ...(typeof column === "number" && { column }) };
}

/** What the server said when it did not do what it was asked; `otherwise` where it said nothing. */
function refusal(body: unknown, wait: number, otherwise: string): ApiError {
  const { error, code } = isRecord(body) ? body : {};
  const again = wait > 0 ? ` Try again in ${wait === 1 ? "a second" : `${wait} seconds`}.` : " Try again in a moment.";
  switch (code) {
    case "unauthorized":
      return new KeyNeededError(
        apiKey === undefined
          ? "It runs programs for whoever has an API key. Ask those who run it for one."
          : "It does not know the key that you gave, or not any more.",
      );
    case "quota_exceeded":
      return new ApiError(`You have your share: ${String(error)}.`);
    case "queue_full":
      return new ApiError(`The server is busy, and its queue is full.${again}`);
    case "cannot_format":
      return new UnformattableError(String(error), placeOf(body));
    case "draining":
      return new ApiError("The server is shutting down and starts nothing new. Your code is kept in this browser.");
    default:
      return typeof error === "string"
        ? new ApiError(`The server refused: ${withReadableSizes(error)}${/[.!?…]$/.test(error) ? "" : "."}`)
        : new ApiError(`${otherwise}${again}`);
  }
}

async function call(path: string, init: RequestInit, timeout: number): Promise<unknown> {
  let response: Response;
  let body: unknown;
  try {
    response = await fetch(address(path), { ...init, signal: AbortSignal.timeout(timeout) });
    body = await response.json().catch(() => undefined);
  } catch {
    throw new ApiError(UNREACHABLE);
  }
  if (response.ok) return body;
  if (response.status === 401 && !isRecord(body)) {
    throw new ApiError("You are not signed in any more: load this page again. Your code is kept in this browser.");
  }
  const wait = Number(response.headers.get("Retry-After"));
  throw refusal(body, wait, `The server answered with status ${response.status} and no explanation.`);
}

function parseExample(value: unknown): Example[] {
  if (!isRecord(value)) return [];
  const { name, title, code, tty, note } = value;
  if (typeof name !== "string" || typeof title !== "string" || typeof code !== "string") return [];
  return [{ name, title, code, tty: tty === true, ...(typeof note === "string" && { note }) }];
}

/** Those that this browser understands; without the others errors lead nowhere, and all else works. */
function parsePatterns(value: unknown): RegExp[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((pattern) => {
    try {
      return typeof pattern === "string" ? [new RegExp(pattern, "g")] : [];
    } catch {
      return [];
    }
  });
}

function parseErrors(value: unknown): ErrorPatterns {
  const { places, messages, innermost } = isRecord(value) ? value : {};
  return {
    places: parsePatterns(places),
    messages: parsePatterns(messages),
    innermost: innermost === "above" ? "above" : "below",
  };
}

const parseStrings = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((it) => typeof it === "string") : [];

function parseLanguage(value: unknown): Language[] {
  if (!isRecord(value)) return [];
  const { name, title, aliases, version, sourceFile, extensions, errors, formats, examples } = value;
  if (typeof name !== "string" || typeof title !== "string" || typeof sourceFile !== "string") return [];
  return [
    {
      name,
      title,
      aliases: parseStrings(aliases),
      version: typeof version === "string" ? version : "",
      sourceFile,
      extensions: parseStrings(extensions),
      errors: parseErrors(errors),
      formats: formats === true,
      examples: Array.isArray(examples) ? examples.flatMap(parseExample) : [],
    },
  ];
}

export async function fetchCatalogue(): Promise<Catalogue> {
  const body = await call("languages", { headers: authorization() }, QUICK_TIMEOUT);
  const languages = isRecord(body) && Array.isArray(body["languages"]) ? body["languages"].flatMap(parseLanguage) : [];
  if (languages.length === 0) throw new ApiError("The server offers no languages.");
  const limits = isRecord(body) && isRecord(body["limits"]) ? body["limits"] : {};
  const numbers = Object.entries(limits).filter(([, value]) => typeof value === "number");
  return { languages, limits: Object.fromEntries(numbers) };
}

/** Formats a program: its source files' new texts, by their names. */
export async function formatProgram(request: string): Promise<ReadonlyMap<string, string>> {
  const headers = { "Content-Type": "application/json", ...authorization() };
  const body = await call("format", { method: "POST", headers, body: request }, START_TIMEOUT);
  const files = isRecord(body) && isRecord(body["files"]) ? body["files"] : {};
  return new Map(Object.entries(files).filter((entry): entry is [string, string] => typeof entry[1] === "string"));
}

/**
 * Runs tests: the lines of the answer, as they come. Whoever aborts ends the program.
 *
 * Throws ApiError when nothing was started, or the answer was cut short.
 */
export async function* runTests(request: string, signal: AbortSignal): AsyncGenerator<Told> {
  const headers = { "Content-Type": "application/json", ...authorization() };
  let response: Response;
  try {
    response = await fetch(address("run"), { method: "POST", headers, body: request, signal });
  } catch {
    throw new ApiError(UNREACHABLE);
  }
  if (!response.ok || !response.body) {
    const body: unknown = await response.json().catch(() => undefined);
    throw refusal(body, Number(response.headers.get("Retry-After")), `The server answered with status ${response.status}.`);
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const told = parseTold(line);
        if (told?.type === "refused") throw refusal(told.body, 0, "The server refused.");
        if (told) yield told;
      }
    }
  } catch (error) {
    throw error instanceof ApiError ? error : new ApiError("The connection was lost before all tests had run.");
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

/** Starts a session: what comes of it comes over the same WebSocket. */
export async function startSession(request: string): Promise<Started> {
  const result = await startOver(openSocket("ws/run", subprotocols()), request, START_TIMEOUT);
  switch (result.kind) {
    case "started":
      return result;
    case "refused":
      throw refusal(result.answer, Number(result.answer["retryAfter"]), "The server refused, without an explanation.");
    case "unreachable":
      // A page is not told why a WebSocket was refused; where that was for want of a key, this is as well.
      await fetchCatalogue();
      throw new ApiError(UNREACHABLE);
  }
}

/** Asks for the end of a session, even while the page goes away; what becomes of the request is not waited for. */
export function endSession(id: string): void {
  // A failure needs no handling: a session that nobody watches is ended by the server.
  fetch(address(sessionPath(id)), { method: "DELETE", keepalive: true }).catch(() => undefined);
}

export interface SessionInfo {
  readonly state: SessionState;
  readonly seq: number;
  readonly tty: boolean;
  readonly watchId?: string;
  /** In milliseconds of Date.now(). */
  readonly startedAt?: number;
}

/** A session as the server sees it: null when it is gone, undefined when the server can't be asked. */
export async function sessionInfo(id: string): Promise<SessionInfo | null | undefined> {
  try {
    const response = await fetch(address(sessionPath(id)), { signal: AbortSignal.timeout(QUICK_TIMEOUT) });
    const body: unknown = await response.json().catch(() => undefined);
    if (response.status === 404) return null;
    const state = isRecord(body) ? parseState(body) : undefined;
    if (!response.ok || !isRecord(body) || !state || typeof body["seq"] !== "number") return undefined;
    const startedAt = typeof body["createdAt"] === "number" ? body["createdAt"] * 1000 : undefined;
    const { tty, watchId } = body;
    return { state, seq: body["seq"], tty: tty === true, ...(typeof watchId === "string" && { watchId }), ...(startedAt !== undefined && { startedAt }) };
  } catch {
    return undefined;
  }
}

export async function probeSession(id: string): Promise<Probe> {
  const info = await sessionInfo(id);
  if (info) return { kind: "there", seq: info.seq };
  return { kind: info === null ? "gone" : "unreachable" };
}

/** The files that the program of a session left; undefined when they can't be had now. */
export async function fetchFiles(id: string): Promise<LeftFiles | undefined> {
  try {
    return decodeFiles(await call(`${sessionPath(id)}/files`, {}, START_TIMEOUT));
  } catch (error) {
    if (error instanceof ApiError) return undefined;
    throw error;
  }
}

export const openSession = (id: string, after: number): Socket =>
  openSocket(`ws/session/${encodeURIComponent(id)}${after > 0 ? `?after=${after}` : ""}`);

function openSocket(path: string, offered: string[] = []): Socket {
  const url = address(path);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(url, offered);
  const result: Socket = {
    onopen: null,
    onmessage: null,
    onclose: null,
    send: (data) => socket.send(data),
    close: () => socket.close(),
  };
  socket.addEventListener("open", () => result.onopen?.());
  socket.addEventListener("message", (event: MessageEvent<unknown>) => result.onmessage?.(event));
  // An error is always followed by a close, which says all that scripts may know.
  socket.addEventListener("close", () => result.onclose?.());
  return result;
}
