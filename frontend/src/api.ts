/** The REST calls. Addresses are relative to the page, which may live below any path. */

import type { Probe, Socket } from "./lib/link";
import type { Limits } from "./lib/status";
import { isRecord, parseState, type SessionState } from "./wire";

export interface Example {
  readonly name: string;
  readonly title: string;
  readonly code: string;
  readonly tty: boolean;
}

export interface Language {
  readonly name: string;
  readonly title: string;
  readonly version: string;
  readonly sourceFile: string;
  readonly examples: readonly Example[];
}

export interface Catalogue {
  readonly languages: readonly Language[];
  readonly limits: Limits;
}

/** What went wrong, in words for the person in front of the page. */
export class ApiError extends Error {}

const START_TIMEOUT = 30_000;
const QUICK_TIMEOUT = 8_000;

const address = (path: string): URL => new URL(path, document.baseURI);
const sessionPath = (id: string): string => `session/${encodeURIComponent(id)}`;

function failure(response: Response, body: unknown): ApiError {
  const { error, code } = isRecord(body) ? body : {};
  const wait = Number(response.headers.get("Retry-After"));
  const again = wait > 0 ? ` Try again in ${wait === 1 ? "a second" : `${wait} seconds`}.` : " Try again in a moment.";
  switch (code) {
    case "queue_full":
      return new ApiError(`The server is busy, and its queue is full.${again}`);
    case "draining":
      return new ApiError("The server is shutting down and starts nothing new. Your code is kept in this browser.");
    default:
      return typeof error === "string"
        ? new ApiError(`The server refused: ${error}${/[.!?…]$/.test(error) ? "" : "."}`)
        : new ApiError(`The server answered with status ${response.status} and no explanation.${again}`);
  }
}

async function call(path: string, init: RequestInit, timeout: number): Promise<unknown> {
  let response: Response;
  let body: unknown;
  try {
    response = await fetch(address(path), { ...init, signal: AbortSignal.timeout(timeout) });
    body = await response.json().catch(() => undefined);
  } catch {
    throw new ApiError("The server can't be reached. Your code is kept in this browser.");
  }
  if (!response.ok) throw failure(response, body);
  return body;
}

function parseExample(value: unknown): Example[] {
  if (!isRecord(value)) return [];
  const { name, title, code, tty } = value;
  if (typeof name !== "string" || typeof title !== "string" || typeof code !== "string") return [];
  return [{ name, title, code, tty: tty === true }];
}

function parseLanguage(value: unknown): Language[] {
  if (!isRecord(value)) return [];
  const { name, title, version, sourceFile, examples } = value;
  if (typeof name !== "string" || typeof title !== "string" || typeof sourceFile !== "string") return [];
  return [
    {
      name,
      title,
      version: typeof version === "string" ? version : "",
      sourceFile,
      examples: Array.isArray(examples) ? examples.flatMap(parseExample) : [],
    },
  ];
}

export async function fetchCatalogue(): Promise<Catalogue> {
  const body = await call("languages", {}, QUICK_TIMEOUT);
  const languages = isRecord(body) && Array.isArray(body["languages"]) ? body["languages"].flatMap(parseLanguage) : [];
  if (languages.length === 0) throw new ApiError("The server offers no languages.");
  const limits = isRecord(body) && isRecord(body["limits"]) ? body["limits"] : {};
  const numbers = Object.entries(limits).filter(([, value]) => typeof value === "number");
  return { languages, limits: Object.fromEntries(numbers) };
}

export async function startSession(request: string): Promise<string> {
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: request };
  const body = await call("session", init, START_TIMEOUT);
  if (!isRecord(body) || typeof body["sessionId"] !== "string") {
    throw new ApiError("The server's answer is not one that this page understands.");
  }
  return body["sessionId"];
}

/** Asks for the end of a session, even while the page goes away; what becomes of the request is not waited for. */
export function endSession(id: string): void {
  // A failure needs no handling: a session that nobody watches is ended by the server.
  fetch(address(sessionPath(id)), { method: "DELETE", keepalive: true }).catch(() => undefined);
}

export interface SessionInfo {
  readonly state: SessionState;
  readonly seq: number;
}

/** A session as the server sees it: null when it is gone, undefined when the server can't be asked. */
export async function sessionInfo(id: string): Promise<SessionInfo | null | undefined> {
  try {
    const response = await fetch(address(sessionPath(id)), { signal: AbortSignal.timeout(QUICK_TIMEOUT) });
    const body: unknown = await response.json().catch(() => undefined);
    if (response.status === 404) return null;
    const state = isRecord(body) ? parseState(body) : undefined;
    if (!response.ok || !isRecord(body) || !state || typeof body["seq"] !== "number") return undefined;
    return { state, seq: body["seq"] };
  } catch {
    return undefined;
  }
}

export async function probeSession(id: string): Promise<Probe> {
  const info = await sessionInfo(id);
  if (info) return { kind: "there", seq: info.seq };
  return { kind: info === null ? "gone" : "unreachable" };
}

export function openSocket(id: string, after: number): Socket {
  const url = address(`ws/session/${encodeURIComponent(id)}`);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  if (after > 0) url.searchParams.set("after", String(after));
  const socket = new WebSocket(url);
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
