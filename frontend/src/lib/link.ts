/**
 * The connection to one session, which outlives its WebSockets.
 *
 * A WebSocket is a cursor on the session's log: after a dropped one, the next goes on after the last `seq`
 * that arrived, so nothing is lost and nothing comes twice. Between attempts the server is asked over REST
 * whether the session is still there, because a refused WebSocket tells scripts nothing about why. A silent
 * WebSocket is checked the same way: after a laptop's sleep it looks open and is not.
 *
 * No DOM in here: sockets, requests and chance come from outside, so that tests can drive it.
 */

import { isFinal, parseServerMessage, type ClientMessage, type ServerMessage } from "../wire";
import { backoff } from "./backoff";
import { inParts } from "./text";

/** What we use of a WebSocket. */
export interface Socket {
  onopen: (() => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: (() => void) | null;
  send(data: string): void;
  close(): void;
}

/** What REST says of the session; `seq` is the end of its log. */
export type Probe = { readonly kind: "there"; readonly seq: number } | { readonly kind: "gone" | "unreachable" };

export interface Surroundings {
  open(after: number): Socket;
  probe(): Promise<Probe>;
  random(): number;
}

export type Phase =
  | { readonly kind: "connecting" }
  | { readonly kind: "open" }
  | { readonly kind: "lost"; readonly retryAt: number }
  | { readonly kind: "gone" }
  | { readonly kind: "ended" };

export interface Events {
  message(message: ServerMessage): void;
  phase(phase: Phase): void;
}

/** Silence after which the server is asked whether the session has moved on without us. */
const SILENCE = 15_000;
/** A WebSocket whose handshake takes longer goes nowhere. */
const HANDSHAKE = 10_000;
/** What we hold back for a session that we can't reach; beyond it, typing is refused rather than piled up. */
const MAX_HELD = 65_536;
/** Above this, a paste is sent in parts: servers bound the size of a message. */
const MAX_INPUT = 8192;

export class SessionLink {
  readonly #surroundings: Surroundings;
  readonly #events: Events;
  #seq = 0;
  #attempt = 0;
  /** Which attempt's probe counts. */
  #turn = 0;
  #socket: Socket | undefined;
  #isOpen = false;
  #over = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #held: string[] = [];
  #heldSize = 0;

  /** Goes on with `first`, if there is one: a WebSocket that is open, and of which nothing was missed. */
  constructor(surroundings: Surroundings, events: Events, first?: Socket) {
    this.#surroundings = surroundings;
    this.#events = events;
    if (first) {
      this.#use(first);
      this.#isOpen = true;
      this.#watchSilence();
    } else {
      this.#connect();
    }
  }

  /** Sends, or keeps for when the connection is back. False when it can do neither. */
  send(message: ClientMessage): boolean {
    if (this.#over) return false;
    if (message.type !== "input") return this.#post(JSON.stringify(message));
    for (const data of inParts(message.data, MAX_INPUT)) {
      if (!this.#post(JSON.stringify({ type: "input", data }))) return false;
    }
    return true;
  }

  /** Connects now instead of after the rest of the wait. */
  retryNow(): void {
    if (this.#over || this.#socket) return;
    clearTimeout(this.#timer);
    void this.#retry();
  }

  /** Replaces a WebSocket that may be dead without knowing it; the log makes this free of loss. */
  refresh(): void {
    if (this.#over) return;
    this.#drop();
    clearTimeout(this.#timer);
    void this.#retry();
  }

  /**
   * Says that nobody may come back, as far as that can be said now; whoever connects again takes it back. What was
   * held for later would come too late, so it is not held.
   */
  leave(): void {
    if (!this.#over && this.#isOpen) this.#post(JSON.stringify({ type: "leave" } satisfies ClientMessage));
  }

  /** Lets go of the session for good. */
  close(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#drop();
  }

  #post(text: string): boolean {
    if (this.#isOpen && this.#socket) {
      this.#socket.send(text);
      return true;
    }
    if (this.#heldSize + text.length > MAX_HELD) return false;
    this.#held.push(text);
    this.#heldSize += text.length;
    return true;
  }

  #connect(): void {
    clearTimeout(this.#timer);
    this.#events.phase({ kind: "connecting" });
    this.#use(this.#surroundings.open(this.#seq));
    this.#timer = setTimeout(() => this.#lost(), HANDSHAKE);
  }

  #use(socket: Socket): void {
    this.#socket = socket;
    socket.onopen = () => this.#opened(socket);
    socket.onmessage = ({ data }) => this.#received(data);
    socket.onclose = () => this.#lost();
  }

  #opened(socket: Socket): void {
    this.#isOpen = true;
    const held = this.#held;
    this.#held = [];
    this.#heldSize = 0;
    for (const text of held) socket.send(text);
    this.#events.phase({ kind: "open" });
    this.#watchSilence();
  }

  #received(data: unknown): void {
    const message = typeof data === "string" ? parseServerMessage(data) : undefined;
    if (!message) return;
    this.#attempt = 0;
    this.#watchSilence();
    if ("seq" in message) {
      if (message.seq <= this.#seq) return;
      this.#seq = message.seq;
    }
    const ends = message.type === "state" && isFinal(message);
    if (ends) this.close();
    this.#events.message(message);
    if (ends) this.#events.phase({ kind: "ended" });
  }

  #lost(): void {
    this.#drop();
    clearTimeout(this.#timer);
    const wait = backoff(this.#attempt, () => this.#surroundings.random());
    this.#attempt += 1;
    this.#timer = setTimeout(() => void this.#retry(), wait);
    this.#events.phase({ kind: "lost", retryAt: Date.now() + wait });
  }

  async #retry(): Promise<void> {
    this.#events.phase({ kind: "connecting" });
    const turn = ++this.#turn;
    const { kind } = await this.#surroundings.probe();
    // While the answer was under way, somebody may have let go, or asked for another attempt.
    if (this.#over || turn !== this.#turn) return;
    if (kind === "there") {
      this.#connect();
    } else if (kind === "gone") {
      this.close();
      this.#events.phase({ kind: "gone" });
    } else {
      this.#lost();
    }
  }

  #watchSilence(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#checkSilence(), SILENCE);
  }

  async #checkSilence(): Promise<void> {
    const socket = this.#socket;
    const before = this.#seq;
    const probe = await this.#surroundings.probe();
    if (this.#over || this.#socket !== socket || this.#seq !== before) return;
    if (probe.kind === "there" && probe.seq <= before) this.#watchSilence();
    else this.refresh();
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#isOpen = false;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }
}
