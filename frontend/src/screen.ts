/**
 * The terminal that shows what a program prints, with and without `tty`.
 *
 * Without a terminal of its own a program's two streams are shown on the same screen: standard error in red and
 * with a bar at the left, typed lines in another colour. What arrives is text for xterm.js, never markup.
 */

import { FitAddon } from "@xterm/addon-fit";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { Terminal, type IMarker } from "@xterm/xterm";
import "@xterm/xterm/css/xterm.css";

import { copyText } from "./clipboard";
import { Chunks } from "./lib/chunks";
import { safeLink } from "./lib/links";
import { screenColours, type Shade } from "./screen-colours";
import { scrollByTouch } from "./touch-scroll";
import type { Stream } from "./wire";

type Kind = Stream | "echo";

export interface ScreenEvents {
  /** Somebody typed, or pasted, or the terminal answers a question of the program's. */
  input(data: string): void;
  resize(rows: number, cols: number): void;
  /** A key before the terminal sees it; true when the page has used it. */
  readonly key: (event: KeyboardEvent) => boolean;
}

const SCROLLBACK = 10_000;
/** Written in well under a frame, so that keys typed meanwhile do not wait. */
const WRITE_SIZE = 16_384;
/** While the page is hidden no frames are drawn, and the flood must not pile up. */
const HIDDEN_PAUSE = 100;

const RESET = "\u001bc";
const HIDE_CURSOR = "\u001b[?25l";
const SHOW_CURSOR = "\u001b[?25h";
/** Undoes what an ended program may have left switched on: colours, mouse reports, bracketed paste. */
const AFTERWARDS = `\u001b[0m\u001b[?1000;1002;1003;1006;2004;1l${HIDE_CURSOR}`;
const LEAVE_FULL_SCREEN = "\u001b[?1049l";

const COLOURED: Readonly<Record<Kind, (text: string) => string>> = {
  stdout: (text) => text,
  // It never comes from the program's terminal, which would end lines as screens need it.
  stderr: (text) => `\u001b[31m${text.replace(/\r?\n/g, "\r\n")}\u001b[39m`,
  echo: (text) => `\u001b[36m${text}\u001b[39m`,
};

export class Screen {
  readonly #terminal: Terminal;
  readonly #fit = new FitAddon();
  readonly #host: HTMLElement;
  readonly #chunks = new Chunks<Kind>();
  #writing = false;
  #bar: IMarker | undefined;

  constructor(host: HTMLElement, shade: Shade, events: ScreenEvents) {
    this.#host = host;
    const open = (_event: MouseEvent, address: string): void => {
      const safe = safeLink(address);
      if (safe !== undefined) window.open(safe, "_blank", "noopener,noreferrer");
    };
    // A link of the terminal's own kind may show one address and mean another: say which.
    const hover = (_event: MouseEvent, address: string): void => void (host.title = safeLink(address) ?? "");
    const leave = (): void => void (host.title = "");
    this.#terminal = new Terminal({
      allowProposedApi: true, // Decorations, for the bar beside standard error.
      allowTransparency: false,
      cursorBlink: true,
      cursorInactiveStyle: "outline",
      disableStdin: true,
      fontFamily: getComputedStyle(host).fontFamily,
      fontSize: 14,
      lineHeight: 1.2,
      linkHandler: { activate: open, hover, leave },
      minimumContrastRatio: 4.5,
      screenReaderMode: true,
      scrollback: SCROLLBACK,
      theme: screenColours(shade),
    });
    this.#terminal.loadAddon(this.#fit);
    this.#terminal.loadAddon(new WebLinksAddon(open, { hover, leave }));
    this.#terminal.open(host);
    this.#terminal.textarea?.setAttribute("aria-label", "Terminal; F6 leaves it");
    this.#terminal.onData((data) => events.input(data));
    this.#terminal.onResize(({ rows, cols }) => events.resize(rows, cols));
    this.#terminal.attachCustomKeyEventHandler((event) => this.#handleKey(event, events));
    this.#terminal.write(HIDE_CURSOR);
    scrollByTouch(host, (lines) => this.#terminal.scrollLines(lines), () => this.#host.clientHeight / this.#terminal.rows);
    new ResizeObserver(() => this.#refit()).observe(host);
  }

  get size(): { rows: number; cols: number } {
    // The host may have been shown, or have grown, since the last frame.
    this.#refit();
    return { rows: this.#terminal.rows, cols: this.#terminal.cols };
  }

  get selection(): string {
    return this.#terminal.getSelection();
  }

  set shade(shade: Shade) {
    this.#terminal.options.theme = screenColours(shade);
  }

  focus(): void {
    this.#terminal.focus();
  }

  /** Empties the screen for a program, which gets a cursor if it has the terminal to itself. */
  begin(tty: boolean): void {
    this.#chunks.clear();
    this.#terminal.options.disableStdin = !tty;
    this.#terminal.options.convertEol = !tty;
    // Written, not called: what an earlier program printed may still be on its way.
    this.#terminal.write(RESET + (tty ? SHOW_CURSOR : HIDE_CURSOR));
  }

  /** The program has ended: what it printed stays, its modes do not. */
  end(): void {
    this.#terminal.options.disableStdin = true;
    this.#whenWritten(() => {
      const fullScreen = this.#terminal.buffer.active.type === "alternate";
      this.#terminal.write(AFTERWARDS + (fullScreen ? LEAVE_FULL_SCREEN : ""));
    });
  }

  clear(): void {
    this.#chunks.clear();
    // In the order of the writes, for the same reason as in begin().
    this.#terminal.write("", () => this.#terminal.clear());
  }

  write(kind: Kind, text: string): void {
    this.#chunks.add(kind, text);
    this.#pump();
  }

  /** Sends text to the program as if it had been typed. */
  type(text: string): void {
    this.#terminal.input(text);
  }

  get usesApplicationCursor(): boolean {
    return this.#terminal.modes.applicationCursorKeysMode;
  }

  #refit(): void {
    // A hidden screen has no size to fit to.
    if (this.#host.clientWidth > 0 && this.#host.clientHeight > 0) this.#fit.fit();
  }

  #pump(): void {
    if (this.#writing) return;
    const chunk = this.#chunks.take(WRITE_SIZE);
    if (!chunk) return;
    this.#writing = true;
    if (chunk.kind === "stderr") this.#terminal.write("", () => this.#startBar());
    this.#terminal.write(COLOURED[chunk.kind](chunk.text), () => {
      if (chunk.kind === "stderr") this.#endBar();
      const next = (): void => {
        this.#writing = false;
        this.#pump();
      };
      if (document.hidden) setTimeout(next, HIDDEN_PAUSE);
      else requestAnimationFrame(next);
    });
  }

  #whenWritten(action: () => void): void {
    if (this.#chunks.empty) this.#terminal.write("", action);
    else requestAnimationFrame(() => this.#whenWritten(action));
  }

  #startBar(): void {
    this.#bar = this.#terminal.registerMarker(0);
  }

  #endBar(): void {
    const marker = this.#bar;
    const { baseY, cursorY, cursorX } = this.#terminal.buffer.active;
    // Lines that have scrolled away took their marker with them: the bar then begins at the oldest one left.
    const last = baseY + cursorY - (cursorX === 0 ? 1 : 0);
    const start = marker && !marker.isDisposed ? marker : this.#terminal.registerMarker(-(baseY + cursorY));
    const height = last - start.line + 1;
    if (!marker || height < 1) return;
    const decoration = this.#terminal.registerDecoration({ marker: start, width: 1, height });
    decoration?.onRender((element) => element.classList.add("stderr-bar"));
  }

  #handleKey(event: KeyboardEvent, events: ScreenEvents): boolean {
    if (event.type !== "keydown") return true;
    if (events.key(event)) return false;
    const letter = event.key.toLowerCase();
    const control = event.ctrlKey && !event.altKey && !event.metaKey;
    // The browser's own copy and paste reach xterm.js as events of their own when it leaves the keys alone.
    if (control && letter === "v") return false;
    if (control && letter === "c" && event.shiftKey) {
      void copyText(this.selection);
      event.preventDefault();
      return false;
    }
    if (control && letter === "c" && this.#terminal.hasSelection()) {
      // Gone once it is copied, so that the next Ctrl-C interrupts the program again.
      setTimeout(() => this.#terminal.clearSelection());
      return false;
    }
    // Without a program that reads keys there is no reason to keep anybody here.
    return !(event.key === "Tab" && this.#terminal.options.disableStdin === true);
  }
}
