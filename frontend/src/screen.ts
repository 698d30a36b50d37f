/**
 * The terminal that shows what a program prints, with and without `tty`.
 *
 * Without a terminal of its own a program's two streams are shown on the same screen: standard error in red and
 * with a bar at the left, each in lines of its own, typed lines in another colour. What arrives is text for xterm.js,
 * never markup.
 */

import { FitAddon } from "@xterm/addon-fit";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { Terminal, type IMarker } from "@xterm/xterm";
import "@xterm/xterm/css/xterm.css";

import { copyText } from "./clipboard";
import { Chunks } from "./lib/chunks";
import { safeLink } from "./lib/links";
import { lineLinks, type LineLink } from "./line-links";
import { screenColours, type Shade } from "./screen-colours";
import { scrollByTouch } from "./touch-scroll";
import { typeWithoutKeys } from "./type-without-keys";
import type { Stream } from "./wire";

/** `compiler` is what a compiler writes to standard error, which for it is where everything goes. */
export type Kind = Stream | "compiler" | "echo";

export interface ScreenOptions {
  readonly shade: Shade;
  /** Of the text, in CSS pixels. */
  readonly size: number;
  /** Whether screen readers are told what is shown. */
  readonly reader: boolean;
}

export interface ScreenEvents {
  /** Somebody typed, or pasted, or the terminal answers a question of the program's. */
  input(data: string): void;
  resize(rows: number, cols: number): void;
  /** What of a line leads somewhere. */
  links(line: string): LineLink[];
  /** A key before the terminal sees it; true when the page has used it. */
  readonly key: (event: KeyboardEvent) => boolean;
}

/** Until the page's own font is there. */
const FALLBACK = "monospace";
const SCROLLBACK = 10_000;
/** Written in well under a frame, so that keys typed meanwhile do not wait. */
const WRITE_SIZE = 16_384;
/** While the page is hidden no frames are drawn, and the flood must not pile up. */
const HIDDEN_PAUSE = 100;

/** So that a notch of the wheel moves as much as in the editor. */
const WHEEL = 2.4;

const RESET = "\u001bc";
const HIDE_CURSOR = "\u001b[?25l";
const SHOW_CURSOR = "\u001b[?25h";
/** Undoes what an ended program may have left switched on: colours, mouse reports, bracketed paste. */
const AFTERWARDS = `\u001b[0m\u001b[?1000;1002;1003;1006;2004;1l${HIDE_CURSOR}`;
const LEAVE_FULL_SCREEN = "\u001b[?1049l";

/** Compilers leave colours out where they write to no terminal: what leads to the fault is made to stand out. */
function emphasise(text: string): string {
  const place = /^([^\s:][^:\n]*:\d+(?::\d+)?:)/gm;
  const severity = /(: )((?:fatal )?error:|warning:|note:)/g;
  const colour = (word: string): string => (word.startsWith("warning") ? "33" : word.startsWith("note") ? "36" : "31");
  return text
    .replace(severity, (_all, before: string, word: string) => `${before}\u001b[1;${colour(word)}m${word}\u001b[22;39m`)
    .replace(place, "\u001b[1m$1\u001b[22m");
}

const COLOURED: Readonly<Record<Kind, (text: string) => string>> = {
  stdout: (text) => text,
  // It never comes from the program's terminal, which would end lines as screens need it.
  stderr: (text) => `\u001b[31m${text.replace(/\r?\n/g, "\r\n")}\u001b[39m`,
  compiler: (text) => emphasise(text.replace(/\r?\n/g, "\r\n")),
  echo: (text) => `\u001b[36m${text}\u001b[39m`,
};

export class Screen {
  readonly #terminal: Terminal;
  readonly #fit = new FitAddon();
  readonly #host: HTMLElement;
  readonly #chunks = new Chunks<Kind>();
  #writing = false;
  #bar: IMarker | undefined;
  /** Which of a program's streams has written last. */
  #latest: Kind = "stdout";

  constructor(host: HTMLElement, { shade, size, reader }: ScreenOptions, events: ScreenEvents) {
    this.#host = host;
    const { fontFamily } = getComputedStyle(host);
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
      fontFamily: FALLBACK,
      fontSize: size,
      // Lines that are drawn with characters, from one row to the next, have no gaps.
      lineHeight: 1,
      linkHandler: { activate: open, hover, leave },
      minimumContrastRatio: 4.5,
      screenReaderMode: reader,
      scrollback: SCROLLBACK,
      scrollSensitivity: WHEEL,
      theme: screenColours(shade),
    });
    this.#terminal.loadAddon(this.#fit);
    this.#terminal.loadAddon(new WebLinksAddon(open, { hover, leave }));
    this.#terminal.registerLinkProvider(lineLinks(this.#terminal, (line) => events.links(line), host));
    this.#terminal.open(host);
    this.#terminal.textarea?.setAttribute("aria-label", "Terminal; F6 leaves it");
    this.#terminal.onData((data) => events.input(data));
    const { textarea, options } = this.#terminal;
    if (textarea) typeWithoutKeys(textarea, () => options.screenReaderMode === true, (text) => this.type(text));
    this.#terminal.onResize(({ rows, cols }) => events.resize(rows, cols));
    this.#terminal.attachCustomKeyEventHandler((event) => this.#handleKey(event, events));
    this.#terminal.write(HIDE_CURSOR);
    scrollByTouch(host, (lines) => this.#terminal.scrollLines(lines), () => this.#host.clientHeight / this.#terminal.rows);
    new ResizeObserver(() => this.#refit()).observe(host);
    void this.#useFont(fontFamily, size);
  }

  /** Measured once it is there: the cells of another font would have another size. */
  async #useFont(fontFamily: string, size: number): Promise<void> {
    await document.fonts.load(`${size}px ${fontFamily}`).catch(() => undefined);
    this.#terminal.options.fontFamily = fontFamily;
    this.#refit();
  }

  /**
   * Emoji and their likes get the width that they have, from what is written next. What that takes is large, and not
   * needed before a program runs: it is for the page to say when there is time for it.
   */
  async useGraphemes(): Promise<void> {
    try {
      const { UnicodeGraphemesAddon } = await import("@xterm/addon-unicode-graphemes");
      this.#terminal.loadAddon(new UnicodeGraphemesAddon());
    } catch {
      // Not there: widths are then those of an older Unicode.
    }
  }

  get size(): { rows: number; cols: number } {
    // The host may have been shown, or have grown, since the last frame.
    this.#refit();
    return { rows: this.#terminal.rows, cols: this.#terminal.cols };
  }

  get selection(): string {
    return this.#terminal.getSelection();
  }

  /** Adopts what has changed of these. */
  configure({ shade, size, reader }: ScreenOptions): void {
    this.#terminal.options.theme = screenColours(shade);
    this.#terminal.options.screenReaderMode = reader;
    if (this.#terminal.options.fontSize === size) return;
    this.#terminal.options.fontSize = size;
    this.#refit();
  }

  focus(): void {
    this.#terminal.focus();
  }

  /** Empties the screen for a program, which gets a cursor if it has the terminal to itself. */
  begin(tty: boolean): void {
    this.#chunks.clear();
    this.#latest = "stdout";
    this.#terminal.options.disableStdin = !tty;
    this.#terminal.options.convertEol = !tty;
    // Written, not called: what an earlier program printed may still be on its way.
    this.#terminal.write(RESET + (tty ? SHOW_CURSOR : HIDE_CURSOR));
  }

  /** The program has ended: what it printed stays, its modes do not. `words` become the last line. */
  end(words: string, fromTop = false): void {
    this.#terminal.options.disableStdin = true;
    this.#whenWritten(() => {
      const fullScreen = this.#terminal.buffer.active.type === "alternate";
      this.#terminal.write(AFTERWARDS + (fullScreen ? LEAVE_FULL_SCREEN : ""), () => {
        if (words === "") return;
        const start = this.#terminal.buffer.active.cursorX > 0 ? "\r\n" : "";
        this.#terminal.write(`${start}\u001b[2m— ${words} —\u001b[22m`, () => {
          // The first error is the one to mend; those behind it mostly come of it.
          if (fromTop) this.#terminal.scrollToTop();
        });
      });
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
    if (this.#host.clientWidth === 0 || this.#host.clientHeight === 0) return;
    const { viewportY, baseY } = this.#terminal.buffer.active;
    this.#fit.fit();
    // xterm.js keeps the last line in its place; for who reads further up, it is the first one that stays.
    if (viewportY < baseY) this.#terminal.scrollToLine(viewportY);
  }

  #pump(): void {
    if (this.#writing) return;
    const chunk = this.#chunks.take(WRITE_SIZE);
    if (!chunk) return;
    this.#writing = true;
    // A line belongs to one stream, though the program has not finished it when it writes to the other.
    const apart = chunk.kind !== "echo" && chunk.kind !== this.#latest && this.#terminal.buffer.active.cursorX > 0;
    if (chunk.kind !== "echo") this.#latest = chunk.kind;
    if (apart) this.#terminal.write("\r\n");
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
    if (this.#terminal.options.disableStdin === true && this.#scrollByKey(event)) {
      event.preventDefault();
      return false;
    }
    // Without a program that reads keys there is no reason to keep anybody here.
    return !(event.key === "Tab" && this.#terminal.options.disableStdin === true);
  }

  /** The keys that move through a text do so where no program reads them. */
  #scrollByKey({ key, ctrlKey, metaKey, altKey, shiftKey }: KeyboardEvent): boolean {
    if (altKey || shiftKey) return false;
    if (ctrlKey || metaKey) {
      if (key.toLowerCase() !== "a") return false;
      this.#terminal.selectAll();
      return true;
    }
    switch (key) {
      case "Home":
        this.#terminal.scrollToTop();
        return true;
      case "End":
        this.#terminal.scrollToBottom();
        return true;
      case "PageUp":
      case "PageDown":
        this.#terminal.scrollPages(key === "PageUp" ? -1 : 1);
        return true;
      case "ArrowUp":
      case "ArrowDown":
        this.#terminal.scrollLines(key === "ArrowUp" ? -1 : 1);
        return true;
      default:
        return false;
    }
  }
}
