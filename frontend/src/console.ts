/** The output side of the page: the screen, the input line, the keys for touch screens, what to do with the output. */

import { copyText } from "./clipboard";
import { byId, hasKeyboard } from "./dom";
import { Transcript } from "./lib/transcript";
import { LineInput } from "./line-input";
import type { LineLink } from "./line-links";
import { saveFile } from "./save";
import { Screen, type Kind, type ScreenOptions } from "./screen";
import type { ClientMessage } from "./wire";

export interface ConsoleEvents {
  send(message: ClientMessage): boolean;
  cleared(): void;
  /** A key before the terminal sees it; true when the page has used it. */
  readonly key: (event: KeyboardEvent) => boolean;
  /** What of a line of output leads somewhere. */
  links(line: string): LineLink[];
}

/** How a program starts here. */
export interface Beginning {
  readonly tty: boolean;
  /** Whether all of its input was given already. */
  readonly inputGiven: boolean;
  /** Whether it can only be looked at. */
  readonly watching?: boolean;
}

/** What there is to say of a program's end. */
export interface Ending {
  /** Whether there was a program that could have printed something. */
  readonly ran: boolean;
  /** For the last line of the screen; "" where there is nothing to add to what it shows. */
  readonly words: string;
  /** The whole sentence. */
  readonly why: string;
  /** Whether what it shows is best read from the top. */
  readonly fromTop: boolean;
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
  readonly #cards = byId("cards", HTMLElement);
  readonly #stdin = byId("stdin", HTMLTextAreaElement);
  readonly #stdinBox = byId("stdin-box", HTMLElement);
  readonly #stdinToggle = byId("stdin-toggle", HTMLButtonElement);
  readonly #events: ConsoleEvents;
  #tty = true;
  #active = false;
  #watching = false;

  constructor(options: ScreenOptions, events: ConsoleEvents) {
    this.#events = events;
    this.#screen = new Screen(byId("screen", HTMLElement), options, {
      input: (data) => {
        if (this.#active && this.#tty && !this.#watching) events.send({ type: "input", data });
      },
      resize: (rows, cols) => {
        if (this.#active && this.#tty && !this.#watching) events.send({ type: "resize", rows, cols });
      },
      links: (line) => events.links(line),
      key: events.key,
    });
    this.#line = new LineInput({
      line: (text) => this.#sendLine(text),
      endOfInput: () => void events.send(this.#tty ? { type: "input", data: "\u0004" } : { type: "eof" }),
      interrupt: () => void events.send(this.#tty ? { type: "input", data: "\u0003" } : { type: "signal", signal: "SIGINT" }),
      typing: () => void events.send({ type: "alive" }),
    });
    this.#keys.addEventListener("click", (event) => this.#pressKey(event.target));
    this.#copy.addEventListener("click", () => void this.#copyOutput());
    byId("download", HTMLButtonElement).addEventListener("click", () => this.#download());
    byId("clear", HTMLButtonElement).addEventListener("click", () => this.#clear());
    this.#stdinToggle.addEventListener("click", () => this.#showStdin(this.#stdinBox.hasAttribute("hidden")));
    this.#welcome();
  }

  get size(): { rows: number; cols: number } {
    return this.#screen.size;
  }

  configure(options: ScreenOptions): void {
    this.#screen.configure(options);
  }

  /** Loads what the screen can do without at first. */
  complete(): void {
    void this.#screen.useGraphemes();
  }

  /** All of the next program's input, if that was written into the box. */
  get stdin(): string | undefined {
    return this.#tty || this.#stdin.value === "" ? undefined : this.#stdin.value;
  }

  /** What the program has printed, as plain text. */
  get text(): string {
    return this.#transcript.text();
  }

  set inputWanted(wanted: boolean) {
    this.#line.wanted = wanted;
  }

  /** Shows the parts that fit a program with or without a terminal. */
  set tty(tty: boolean) {
    this.#tty = tty;
    // A terminal on a touch screen is no field to tap into: there an answer is a line as well.
    this.#line.hidden = tty && hasKeyboard();
    this.#line.label = tty ? "Answer" : "Input";
    this.#keys.hidden = !tty;
    this.#stdinToggle.hidden = tty;
    this.#stdinBox.hidden = tty || this.#stdin.value === "";
    this.#stdinToggle.setAttribute("aria-expanded", String(!(tty || this.#stdin.value === "")));
  }

  focus(): void {
    if (this.#line.hidden) this.#screen.focus();
    else this.#line.focus();
  }

  begin({ tty, inputGiven, watching = false }: Beginning): void {
    this.tty = tty;
    this.#active = true;
    this.#watching = watching;
    this.#transcript.clear();
    this.#screen.begin(tty);
    this.#line.begin(inputGiven);
    if (watching) this.#line.hidden = this.#keys.hidden = this.#stdinToggle.hidden = true;
    this.#empty.hidden = true;
  }

  output(kind: Kind, text: string): void {
    this.#transcript.add(text);
    this.#screen.write(kind, text);
  }

  end({ ran, words, why, fromTop }: Ending): void {
    if (!this.#active) return;
    this.#active = false;
    if (this.#watching) this.tty = this.#tty;
    const silent = this.#transcript.empty;
    this.#screen.end(silent ? "" : words, fromTop);
    this.#line.end();
    if (!silent) return;
    // Where the eyes are, it is said as well as in the line below.
    if (ran) this.#say("No output", why === "Finished." ? "The program ended without printing anything." : why);
    else this.#say("It did not run", why);
  }

  #welcome(): void {
    const touch = !hasKeyboard();
    const how = touch ? "Tap Run" : `Press Run, or ${SHORTCUT}`;
    this.#say("Programs here are interactive", `${how}, and answer while the program runs. Or begin with one of these:`);
    this.#cards.hidden = false;
  }

  #say(title: string, text: string): void {
    byId("empty-title", HTMLElement).textContent = title;
    byId("empty-text", HTMLElement).textContent = text;
    this.#cards.hidden = true;
    this.#empty.hidden = false;
  }

  #showStdin(shown: boolean): void {
    this.#stdinBox.hidden = !shown;
    this.#stdinToggle.setAttribute("aria-expanded", String(shown));
    if (shown) this.#stdin.focus();
  }

  #sendLine(text: string): boolean {
    // As from its keyboard: the terminal echoes it, and makes a line of it.
    if (this.#tty) return this.#events.send({ type: "input", data: `${text}\r` });
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
    const text = this.#screen.selection || this.#transcript.text();
    if (text === "") this.#copy.textContent = "Nothing yet";
    else this.#copy.textContent = (await copyText(text)) ? "Copied" : "Can't copy";
    setTimeout(() => void (this.#copy.textContent = "Copy"), 1500);
  }

  #download(): void {
    saveFile("output.txt", this.#transcript.text(), "text/plain;charset=utf-8");
  }

  #clear(): void {
    this.#transcript.clear();
    this.#screen.clear();
    this.#events.cleared();
    if (!this.#active) this.#welcome();
  }
}
