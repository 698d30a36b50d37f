/** Starts a session over a WebSocket that is about to open: one round trip, after which the session's messages follow. */

import { isRecord } from "../wire";
import type { Socket } from "./link";

export interface Started {
  readonly kind: "started";
  readonly id: string;
  /** What others watch it by. */
  readonly watchId?: string;
  /** Still open; whoever gets it takes its messages from now on. */
  readonly socket: Socket;
}

export type Start =
  | Started
  | { readonly kind: "refused"; readonly answer: Record<string, unknown> }
  | { readonly kind: "unreachable" };

function parseAnswer(data: unknown): Record<string, unknown> {
  try {
    const value: unknown = typeof data === "string" ? JSON.parse(data) : undefined;
    return isRecord(value) ? value : {};
  } catch {
    return {};
  }
}

/**
 * Settles within `timeout` milliseconds. A session that is started although nobody hears of it any more is ended by
 * the server: no client comes for it.
 */
export function startOver(socket: Socket, request: string, timeout: number): Promise<Start> {
  return new Promise((resolve) => {
    const settle = (result: Start): void => {
      clearTimeout(timer);
      socket.onopen = socket.onmessage = socket.onclose = null;
      if (result.kind !== "started") socket.close();
      resolve(result);
    };
    const timer = setTimeout(() => settle({ kind: "unreachable" }), timeout);
    socket.onopen = () => socket.send(request);
    socket.onclose = () => settle({ kind: "unreachable" });
    socket.onmessage = ({ data }) => {
      const answer = parseAnswer(data);
      const { type, sessionId, watchId } = answer;
      if (type === "session" && typeof sessionId === "string") {
        settle({ kind: "started", id: sessionId, ...(typeof watchId === "string" && { watchId }), socket });
      }
      else settle({ kind: "refused", answer });
    };
  });
}
