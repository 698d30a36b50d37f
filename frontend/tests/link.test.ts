import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { SessionLink, type Phase, type Probe, type Socket } from "../src/lib/link";
import type { ServerMessage } from "../src/wire";

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

  deliver(message: ServerMessage): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

class World {
  sockets: FakeSocket[] = [];
  asked: number[] = [];
  probes = 0;
  answer: Probe = { kind: "there", seq: 0 };
  messages: ServerMessage[] = [];
  phases: Phase[] = [];
  readonly link = new SessionLink(
    {
      open: (after) => {
        const socket = new FakeSocket();
        this.sockets.push(socket);
        this.asked.push(after);
        return socket;
      },
      probe: () => {
        this.probes += 1;
        return Promise.resolve(this.answer);
      },
      random: () => 0,
    },
    { message: (message) => this.messages.push(message), phase: (phase) => this.phases.push(phase) },
  );

  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error("there is no socket");
    return socket;
  }

  get phase(): string | undefined {
    return this.phases.at(-1)?.kind;
  }
}

const output = (data: string, seq: number): ServerMessage => ({ type: "stdout", data, seq });

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

describe("SessionLink", () => {
  it("goes on after the last message when the connection drops", async () => {
    const world = new World();
    world.socket.onopen?.();
    world.socket.deliver(output("a", 7));

    world.socket.onclose?.();
    expect(world.phase).toBe("lost");
    await vi.advanceTimersByTimeAsync(250);

    expect(world.asked).toEqual([0, 7]);
  });

  it("passes over what it has seen already", () => {
    const world = new World();
    world.socket.onopen?.();
    world.socket.deliver(output("a", 7));
    world.socket.deliver(output("a", 7));
    world.socket.deliver(output("b", 8));

    expect(world.messages).toEqual([output("a", 7), output("b", 8)]);
  });

  it("keeps asking a server that can't be reached, ever more slowly", async () => {
    const world = new World();
    world.answer = { kind: "unreachable" };
    world.socket.onclose?.();
    await vi.advanceTimersByTimeAsync(250 + 500 + 1000);
    expect(world.probes).toBe(3);

    await vi.advanceTimersByTimeAsync(1999);
    expect(world.probes).toBe(3);

    world.answer = { kind: "there", seq: 0 };
    await vi.advanceTimersByTimeAsync(1);
    expect(world.sockets).toHaveLength(2);
  });

  it("tells a session that is gone from a server that is", async () => {
    const world = new World();
    world.answer = { kind: "gone" };
    world.socket.onclose?.();
    await vi.advanceTimersByTimeAsync(60_000);

    expect(world.phase).toBe("gone");
    expect(world.probes).toBe(1);
    expect(world.link.send({ type: "eof" })).toBe(false);
  });

  it("tries at once when told to", async () => {
    const world = new World();
    world.socket.onclose?.();
    world.link.retryNow();
    await vi.advanceTimersByTimeAsync(0);

    expect(world.sockets).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(5000);
    expect(world.probes).toBe(1);
  });

  it("says that it leaves where that can be said, and never later", () => {
    const world = new World();
    world.link.leave();
    world.socket.onopen?.();
    expect(world.socket.sent).toEqual([]);
    world.link.leave();
    expect(world.socket.sent).toEqual(['{"type":"leave"}']);
    world.link.close();
    world.link.leave();
    expect(world.socket.sent).toHaveLength(1);
  });

  it("replaces a WebSocket that slept", async () => {
    const world = new World();
    world.socket.onopen?.();
    world.socket.deliver(output("a", 7));
    const before = world.socket;
    world.link.refresh();
    await vi.advanceTimersByTimeAsync(0);

    expect(before.closed).toBe(true);
    expect(world.asked).toEqual([0, 7]);
  });

  it("follows only the latest of several attempts", async () => {
    const world = new World();
    world.socket.onopen?.();
    world.answer = { kind: "unreachable" };
    world.link.refresh();
    world.answer = { kind: "there", seq: 0 };
    world.link.refresh();
    await vi.advanceTimersByTimeAsync(0);
    world.socket.onopen?.();
    await vi.advanceTimersByTimeAsync(14_000);

    expect(world.sockets).toHaveLength(2);
    expect(world.phase).toBe("open");
  });

  it("notices that a silent WebSocket has missed something", async () => {
    const world = new World();
    world.socket.onopen?.();
    world.socket.deliver(output("a", 7));
    world.answer = { kind: "there", seq: 7 };
    await vi.advanceTimersByTimeAsync(15_000);
    expect(world.sockets).toHaveLength(1);

    world.answer = { kind: "there", seq: 9 };
    await vi.advanceTimersByTimeAsync(15_000);
    expect(world.asked).toEqual([0, 7]);
  });

  it("gives up on a handshake that goes nowhere", async () => {
    const world = new World();
    await vi.advanceTimersByTimeAsync(10_000);

    expect(world.phase).toBe("lost");
  });

  it("keeps what is typed until the connection is back, in order", async () => {
    const world = new World();
    world.socket.onclose?.();
    expect(world.link.send({ type: "input", data: "a" })).toBe(true);
    world.link.send({ type: "eof" });
    await vi.advanceTimersByTimeAsync(250);
    world.socket.onopen?.();

    expect(world.socket.sent).toEqual(['{"type":"input","data":"a"}', '{"type":"eof"}']);
  });

  it("refuses to pile up more than it will ever deliver", () => {
    const world = new World();

    expect(world.link.send({ type: "input", data: "x".repeat(100_000) })).toBe(false);
  });

  it("sends a long paste in parts that split no character", () => {
    const world = new World();
    world.socket.onopen?.();
    const text = `x${"😀".repeat(10_000)}`;
    world.link.send({ type: "input", data: text });
    const parts = world.socket.sent.map((sent) => (JSON.parse(sent) as { data: string }).data);

    expect(parts.join("")).toBe(text);
    expect(parts.every((part) => part.isWellFormed() && part.length <= 8192)).toBe(true);
  });

  it("goes on with the WebSocket that started the session, and comes back by another", async () => {
    const first = new FakeSocket();
    const asked: number[] = [];
    const messages: ServerMessage[] = [];
    const phases: Phase[] = [];
    const link = new SessionLink(
      {
        open: (after) => {
          asked.push(after);
          return new FakeSocket();
        },
        probe: () => Promise.resolve({ kind: "there", seq: 0 }),
        random: () => 0,
      },
      { message: (message) => messages.push(message), phase: ({ kind }: Phase) => phases.push({ kind } as Phase) },
      first,
    );
    link.send({ type: "eof" });
    first.deliver(output("a", 7));

    expect([first.sent, messages, asked]).toEqual([['{"type":"eof"}'], [output("a", 7)], []]);
    first.onclose?.();
    await vi.advanceTimersByTimeAsync(250);
    expect(asked).toEqual([7]);
    expect(phases.map(({ kind }) => kind)).toEqual(["lost", "connecting", "connecting"]);
  });

  it("is over after the final state", async () => {
    const world = new World();
    world.socket.onopen?.();
    world.socket.deliver({ type: "state", state: "finished", seq: 9, exitCode: 0 });
    await vi.advanceTimersByTimeAsync(60_000);

    expect(world.phase).toBe("ended");
    expect(world.sockets).toHaveLength(1);
    expect(world.socket.closed).toBe(true);
  });
});
