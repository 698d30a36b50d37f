/** The input line: of programs without a terminal, and on touch screens of all, since a terminal is no place to tap. */

import { byId } from "./dom";
import { LineHistory } from "./lib/line-history";

export interface LineEvents {
  /** False when the line could not be sent: it then stays in the field. */
  line(text: string): boolean;
  endOfInput(): void;
  interrupt(): void;
  /** Somebody is at it, though nothing can be sent yet. */
  typing(): void;
}

/** Milliseconds between two words of somebody's being at it. */
const TYPING = 5_000;

export class LineInput {
  readonly #form = byId("line", HTMLFormElement);
  readonly #field = byId("line-input", HTMLInputElement);
  readonly #send = byId("line-send", HTMLButtonElement);
  readonly #eof = byId("line-eof", HTMLButtonElement);
  readonly #history = new LineHistory();
  readonly #events: LineEvents;
  #active = false;
  #ended = false;
  #fromBox = false;
  #typed = -Infinity;

  constructor(events: LineEvents) {
    this.#events = events;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#eof.addEventListener("click", () => this.#endInput());
    this.#field.addEventListener("keydown", (event) => this.#handleKey(event));
    this.#field.addEventListener("input", () => this.#noteTyping());
    // A paste of many lines becomes what it would be in a terminal, rather than one long line.
    this.#field.addEventListener("paste", (event) => this.#paste(event));
    this.#show();
  }

  get hidden(): boolean {
    return this.#form.hasAttribute("hidden");
  }

  set hidden(hidden: boolean) {
    this.#form.hidden = hidden;
  }

  /** Whether the program is known to wait for a line. */
  set wanted(wanted: boolean) {
    this.#form.classList.toggle("wanted", wanted);
  }

  /** What it is called: an answer, where it stands for a terminal's keyboard. */
  set label(label: string) {
    byId("line-label", HTMLLabelElement).textContent = label;
  }

  /** `fromBox`: the whole input was given already. */
  begin(fromBox: boolean): void {
    this.#active = true;
    this.#ended = this.#fromBox = fromBox;
    this.#show();
  }

  end(): void {
    this.#active = false;
    this.#show();
  }

  focus(): void {
    this.#field.focus();
  }

  #show(): void {
    const open = this.#active && !this.#ended;
    // Read-only instead of disabled: the focus stays where it is, and what was typed ahead is not lost.
    this.#field.readOnly = !open;
    this.#send.setAttribute("aria-disabled", String(!open));
    this.#eof.setAttribute("aria-disabled", String(!open));
    if (!this.#active) this.#field.placeholder = "when a program runs";
    else if (this.#fromBox) this.#field.placeholder = "the input is the text of the box";
    else this.#field.placeholder = this.#ended ? "the input has ended" : "";
  }

  #noteTyping(): void {
    if (this.#field.readOnly || performance.now() - this.#typed < TYPING) return;
    this.#typed = performance.now();
    this.#events.typing();
  }

  #submit(): void {
    if (this.#field.readOnly) return;
    const text = this.#field.value;
    if (!this.#events.line(text)) return;
    this.#history.add(text);
    this.#field.value = "";
  }

  #endInput(): void {
    if (this.#field.readOnly) return;
    this.#ended = true;
    this.#events.endOfInput();
    this.#show();
  }

  #paste(event: ClipboardEvent): void {
    const lines = (event.clipboardData?.getData("text") ?? "").split(/\r\n?|\n/);
    if (lines.length < 2 || this.#field.readOnly) return;
    event.preventDefault();
    this.#field.setRangeText(lines[0] ?? "", this.#field.selectionStart ?? 0, this.#field.selectionEnd ?? 0, "end");
    for (const line of lines.slice(1)) {
      this.#submit();
      this.#field.value = line;
    }
  }

  #handleKey(event: KeyboardEvent): void {
    const { key, ctrlKey } = event;
    const empty = this.#field.value === "";
    const selected = this.#field.selectionStart !== this.#field.selectionEnd;
    if (ctrlKey && key === "d" && empty) this.#endInput();
    else if (ctrlKey && key === "c" && !selected && this.#active) this.#events.interrupt();
    else if (key === "ArrowUp" || key === "ArrowDown") {
      const line = key === "ArrowUp" ? this.#history.older(this.#field.value) : this.#history.newer();
      if (line !== undefined) this.#field.value = line;
    } else return;
    event.preventDefault();
  }
}
