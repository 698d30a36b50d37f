/** One run at a time: started, followed, talked to, ended. What is known of it is one value, the `view`. */

import { ApiError, endSession, KeyNeededError, openSession, probeSession, startSession } from "./api";
import type { SentFile } from "./lib/files";
import { SessionLink, type Phase, type Socket } from "./lib/link";
import type { Limits, RunView } from "./lib/status";
import { isFinal, type ClientMessage, type ServerMessage, type SessionState, type Stream } from "./wire";

interface Size {
  readonly rows: number;
  readonly cols: number;
}

export interface RunEvents {
  view(view: RunView): void;
  output(stream: Stream, text: string): void;
  /** The terminal's size now. */
  size(): Size;
  /** A message of ours could not be used. */
  rejected(words: string): void;
  /** The server started nothing, since it wants a key, or another one. */
  keyWanted(words: string): void;
  /** A session that was followed is over, in this state. */
  over(session: Session, state: SessionState): void;
}

export interface Session {
  readonly id: string;
  readonly tty: boolean;
  /** What others watch it by. */
  readonly watchId?: string;
  /** Whether this is somebody else's, and `id` what it is watched by. */
  readonly watching?: boolean;
  /** The program's own files, as they were when it was started. */
  readonly sent: readonly SentFile[];
}

export interface Launch {
  readonly request: string;
  readonly tty: boolean;
  readonly sent: readonly SentFile[];
}

type Live = Extract<RunView, { kind: "live" }>;

export class Run {
  readonly #events: RunEvents;
  readonly #limits: () => Limits;
  #view: RunView = { kind: "idle" };
  #session: Session | undefined;
  #link: SessionLink | undefined;
  /** Which start this is; what belongs to an earlier one is out of date. */
  #turn = 0;
  #tty = true;
  /** The terminal's size as the server knows it; of a session that was there already, nobody here knows. */
  #toldSize: Size | undefined;
  /** What was typed before the server had answered. */
  #early: ClientMessage[] = [];

  constructor(limits: () => Limits, events: RunEvents) {
    this.#limits = limits;
    this.#events = events;
    // A tab that is closed, or reloaded: then the page is back before the server ends the program.
    addEventListener("pagehide", () => this.#link?.leave());
  }

  get view(): RunView {
    return this.#view;
  }

  get active(): boolean {
    return this.#view.kind === "starting" || this.#view.kind === "live";
  }

  /** Whether the current or latest program has a terminal. */
  get tty(): boolean {
    return this.#tty;
  }

  get session(): Session | undefined {
    return this.#session;
  }

  async start({ request, tty, sent }: Launch): Promise<void> {
    this.#leave();
    const turn = this.#turn;
    this.#tty = tty;
    this.#toldSize = tty ? this.#events.size() : undefined;
    this.#show({ kind: "starting" });
    try {
      const { id, watchId, socket } = await startSession(request);
      if (turn === this.#turn) {
        this.follow({ id, ...(watchId !== undefined && { watchId }), tty, sent }, socket);
      } else {
        endSession(id);
        socket.close();
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (turn !== this.#turn) return;
      this.#show({ kind: "refused", message: error.message });
      if (error instanceof KeyNeededError) this.#events.keyWanted(error.message);
    }
  }

  /** Attaches to a session that exists, by the WebSocket that started it if there is one. */
  follow(session: Session, socket?: Socket): void {
    const turn = ++this.#turn;
    this.#session = session;
    this.#tty = session.tty;
    this.#show({
      kind: "live",
      state: undefined,
      phase: socket ? { kind: "open" } : { kind: "connecting" },
      inputWanted: false,
      stopping: false,
      ...(session.watching && { watching: true }),
    });
    this.#link = new SessionLink(
      {
        open: (after) => openSession(session.id, after),
        probe: () => probeSession(session.id),
        random: Math.random,
      },
      {
        message: (message) => {
          if (turn === this.#turn) this.#received(message);
        },
        phase: (phase) => {
          if (turn !== this.#turn) return;
          if (phase.kind === "gone") this.#finish({ kind: "gone" });
          else if (phase.kind !== "ended") this.#moved(phase, session);
        },
      },
      socket,
    );
    for (const message of this.#early.splice(0)) this.#link.send(message);
  }

  stop(): void {
    if (this.#view.kind === "starting") {
      // Nothing to end yet: the start's answer will find that its turn is over.
      this.#turn += 1;
      this.#finish({ kind: "refused", message: "Stopped before it started." });
      return;
    }
    if (this.#view.kind !== "live" || !this.#session) return;
    if (this.#session.watching) {
      this.#finish({ kind: "refused", message: "You watch it no more. It may go on." });
      return;
    }
    if (this.#view.stopping && this.#view.phase.kind !== "open") {
      this.#finish({ kind: "refused", message: "Disconnected from an unreachable server. It will end the program by itself." });
      return;
    }
    // Both ways: one works while the WebSocket is down, the other waits for a server that is away.
    endSession(this.#session.id);
    this.#link?.send({ type: "stop" });
    this.#update({ stopping: true });
  }

  /** False when it is not sent and will not be. */
  send(message: ClientMessage): boolean {
    if (this.#view.kind === "starting") {
      this.#early.push(message);
      return true;
    }
    const sent = this.#link?.send(message) ?? false;
    if (message.type === "resize") this.#toldSize = sent ? message : undefined;
    return sent;
  }

  /** Lets go of the program, which is ended, and of what is known of it. */
  abandon(): void {
    this.#leave();
    this.#view = { kind: "idle" };
  }

  retryNow(): void {
    this.#link?.retryNow();
  }

  /** To be called when the network or the machine has been away. */
  refresh(): void {
    this.#link?.refresh();
  }

  #moved(phase: Phase, session: Session): void {
    // What the program waits for is said anew after a connection.
    this.#update({ phase, inputWanted: false, sleeping: false, idleUntil: undefined });
    if (phase.kind === "open" && session.tty && !session.watching) this.#tellSize();
  }

  /** The size may have changed while nobody could be told. */
  #tellSize(): void {
    const { rows, cols } = this.#events.size();
    if (rows === this.#toldSize?.rows && cols === this.#toldSize.cols) return;
    this.send({ type: "resize", rows, cols });
  }

  #received(message: ServerMessage): void {
    switch (message.type) {
      case "stdout":
      case "stderr":
        this.#events.output(message.type, message.data);
        break;
      case "state":
        if (isFinal(message)) this.#over(message);
        else this.#update({ state: message });
        break;
      case "input_wait":
        this.#update({ inputWanted: message.waiting });
        break;
      case "activity":
        this.#update({ sleeping: message.sleeping });
        break;
      case "idle":
        this.#update({ idleUntil: message.endsIn === null ? undefined : Date.now() + message.endsIn * 1000 });
        break;
      case "watchers":
        this.#update({ watchers: message.count });
        break;
      case "error":
        // What was sent while the program ended is of no use any more, and no fault.
        if (message.code !== "wrong_state") this.#events.rejected(message.error);
        break;
    }
  }

  #over(state: SessionState): void {
    const session = this.#session;
    this.#finish({ kind: "over", state, limits: this.#limits() });
    if (session) this.#events.over(session, state);
  }

  #leave(): void {
    if (this.#view.kind === "live" && this.#session && !this.#session.watching) endSession(this.#session.id);
    this.#link?.close();
    this.#link = undefined;
    this.#session = undefined;
    this.#toldSize = undefined;
    this.#early = [];
    this.#turn += 1;
  }

  #finish(view: RunView): void {
    this.#link?.close();
    this.#link = undefined;
    this.#session = undefined;
    this.#show(view);
  }

  #update(change: Partial<Live>): void {
    if (this.#view.kind === "live") this.#show({ ...this.#view, ...change });
  }

  #show(view: RunView): void {
    this.#view = view;
    this.#events.view(view);
  }
}
