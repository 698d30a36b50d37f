/** The output side of the page: the screen, the input line, the keys for touch screens, what to do with the output. */

import { copyText } from "./clipboard";
import { byId } from "./dom";
import { Transcript } from "./lib/transcript";
import { LineInput } from "./line-input";
import { saveFile } from "./save";
import { Screen } from "./screen";
import type { Shade } from "./screen-colours";
import type { ClientMessage, Stream } from "./wire";

export interface ConsoleEvents {
  send(message: ClientMessage): boolean;
  cleared(): void;
  /** A key before the terminal sees it; true when the page has used it. */
  readonly key: (event: KeyboardEvent) => boolean;
}

const SHORTCUT = /Mac|iPhone|iPad/.test(navigator.userAgent) ? "⌘ Enter" : "Ctrl Enter";

/** What the buttons for touch screens type; the cursor keys depend on a mode that full-screen programs set. */
const KEYS: Readonly<Record<string, string>> = { "ctrl-c": "\u0003", "ctrl-d": "\u0004", tab: "\t", escape: "\u001b" };
const CURSOR_KEYS: Readonly<Record<string, string>> = { up: "A", down: "B", right: "C", left: "D" };

export class Console {
  readonly #screen: Screen;
  readonly #line: LineInput;
  readonly #transcript = new Transcript();
  readonly #empty = byId("empty", HTMLElement);
  readonly #keys = byId("keys", HTMLElement);
  readonly #copy = byId("copy", HTMLButtonElement);
  readonly #events: ConsoleEvents;
  #tty = true;
  #active = false;

  constructor(shade: Shade, events: ConsoleEvents) {
    this.#events = events;
    this.#screen = new Screen(byId("screen", HTMLElement), shade, {
      input: (data) => {
        if (this.#active && this.#tty) events.send({ type: "input", data });
      },
      resize: (rows, cols) => {
        if (this.#active && this.#tty) events.send({ type: "resize", rows, cols });
      },
      key: events.key,
    });
    this.#line = new LineInput({
      line: (text) => this.#sendLine(text),
      endOfInput: () => void events.send({ type: "eof" }),
      interrupt: () => void events.send({ type: "signal", signal: "SIGINT" }),
    });
    this.#keys.addEventListener("click", (event) => this.#pressKey(event.target));
    this.#copy.addEventListener("click", () => void this.#copyOutput());
    byId("download", HTMLButtonElement).addEventListener("click", () => this.#download());
    byId("clear", HTMLButtonElement).addEventListener("click", () => this.#clear());
    this.#say("Nothing has run yet", `Press Run, or ${SHORTCUT}. What the program prints appears here.`);
  }

  get size(): { rows: number; cols: number } {
    return this.#screen.size;
  }

  set shade(shade: Shade) {
    this.#screen.shade = shade;
  }

  set inputWanted(wanted: boolean) {
    this.#line.wanted = wanted;
  }

  /** Shows the parts that fit a program with or without a terminal. */
  set tty(tty: boolean) {
    this.#tty = tty;
    this.#line.hidden = tty;
    this.#keys.hidden = !tty;
  }

  focus(): void {
    if (this.#line.hidden) this.#screen.focus();
    else this.#line.focus();
  }

  begin(tty: boolean): void {
    this.tty = tty;
    this.#active = true;
    this.#transcript.clear();
    this.#screen.begin(tty);
    this.#line.begin();
    this.#empty.hidden = true;
  }

  output(stream: Stream, text: string): void {
    this.#transcript.add(text);
    this.#screen.write(stream, text);
  }

  /** `ran` says whether there was a program that could have printed something. */
  end(ran: boolean): void {
    if (!this.#active) return;
    this.#active = false;
    this.#screen.end();
    this.#line.end();
    if (!this.#transcript.empty) return;
    if (ran) this.#say("No output", "The program ended without printing anything.");
    else this.#say("It did not run", "The line below says why.");
  }

  #say(title: string, text: string): void {
    byId("empty-title", HTMLElement).textContent = title;
    byId("empty-text", HTMLElement).textContent = text;
    this.#empty.hidden = false;
  }

  #sendLine(text: string): boolean {
    const line = `${text}\n`;
    if (!this.#events.send({ type: "input", data: line })) return false;
    this.#transcript.add(line);
    this.#screen.write("echo", line);
    return true;
  }

  #pressKey(target: EventTarget | null): void {
    const key = target instanceof HTMLElement ? (target.dataset["key"] ?? "") : "";
    const cursor = CURSOR_KEYS[key];
    const text = cursor === undefined ? KEYS[key] : `\u001b${this.#screen.usesApplicationCursor ? "O" : "["}${cursor}`;
    if (text !== undefined && this.#active) this.#events.send({ type: "input", data: text });
  }

  async #copyOutput(): Promise<void> {
    const done = await copyText(this.#screen.selection || this.#transcript.text());
    this.#copy.textContent = done ? "Copied" : "Can't copy";
    setTimeout(() => void (this.#copy.textContent = "Copy"), 1500);
  }

  #download(): void {
    saveFile("output.txt", this.#transcript.text(), "text/plain;charset=utf-8");
  }

  #clear(): void {
    this.#transcript.clear();
    this.#screen.clear();
    this.#events.cleared();
  }
}
