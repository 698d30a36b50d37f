import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { Socket } from "../src/lib/link";
import { startOver, type Start } from "../src/lib/start";

class FakeSocket implements Socket {
  onopen: (() => void) | null = null;
  onmessage: ((event: { readonly data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;
  sent: string[] = [];
  closed = false;

  send(data: string): void {
    this.sent.push(data);
  }

  close(): void {
    this.closed = true;
  }
}

function begun(): { socket: FakeSocket; result: Promise<Start> } {
  const socket = new FakeSocket();
  const result = startOver(socket, "{}", 1000);
  socket.onopen?.();
  return { socket, result };
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

describe("startOver", () => {
  it("sends the request when it can, and hands the open WebSocket over", async () => {
    const socket = new FakeSocket();
    const result = startOver(socket, '{"language":"python"}', 1000);
    expect(socket.sent).toEqual([]);
    socket.onopen?.();
    expect(socket.sent).toEqual(['{"language":"python"}']);

    socket.onmessage?.({ data: '{"type":"session","sessionId":"abc","websocket":"/ws/session/abc"}' });
    expect(await result).toEqual({ kind: "started", id: "abc", socket });
    expect([socket.closed, socket.onmessage, socket.onclose]).toEqual([false, null, null]);
    await vi.advanceTimersByTimeAsync(5000);
    expect(socket.closed).toBe(false);
  });

  it("tells a refusal", async () => {
    const { socket, result } = begun();
    const answer = { type: "error", error: "the queue is full", code: "queue_full", retryAfter: 3 };
    socket.onmessage?.({ data: JSON.stringify(answer) });

    expect(await result).toEqual({ kind: "refused", answer });
    expect(socket.closed).toBe(true);
  });

  it.each(["nonsense", "[]", '{"type":"session"}'])("takes %s for a refusal without words", async (data) => {
    const { socket, result } = begun();
    socket.onmessage?.({ data });

    expect((await result).kind).toBe("refused");
  });

  it("tells a server that closes, and one that says nothing", async () => {
    const closing = begun();
    closing.socket.onclose?.();
    expect(await closing.result).toEqual({ kind: "unreachable" });

    const silent = begun();
    await vi.advanceTimersByTimeAsync(1000);
    expect(await silent.result).toEqual({ kind: "unreachable" });
    expect(silent.socket.closed).toBe(true);
  });
});
