/** What a tab among others shows of its program: the file and how it stands, in the title and in the icon. */

import type { Tone } from "./lib/status";

const MARKS: Readonly<Record<Tone, string>> = { idle: "", busy: "● ", input: "✎ ", good: "✓ ", warning: "! ", bad: "✗ " };
const COLOURS: Readonly<Record<Tone, string | undefined>> = {
  idle: undefined,
  busy: "#4fd1c0",
  input: "#ffc94d",
  good: "#7fd68a",
  warning: "#e6a069",
  bad: "#ff6b61",
};

/** The icon of favicon.svg, with a dot in its corner. */
function icon(colour: string): string {
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#0b6e63"/>` +
    `<g fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round" stroke-linejoin="round"><path d="M7 9l6 7-6 7"/>` +
    `<path d="M14 9l6 7-6 7" opacity=".65"/><path d="M21 9l6 7-6 7" opacity=".35"/></g>` +
    `<circle cx="24" cy="24" r="7.5" fill="${colour}" stroke="#12171a" stroke-width="2"/></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

export class Presence {
  readonly #icon = document.querySelector<HTMLLinkElement>("link[rel=icon]");
  readonly #plain = this.#icon?.href ?? "";
  #name = "";
  #tone: Tone = "idle";

  set name(name: string) {
    this.#name = name;
    this.#show();
  }

  set tone(tone: Tone) {
    if (tone === this.#tone) return;
    this.#tone = tone;
    const colour = COLOURS[tone];
    if (this.#icon) this.#icon.href = colour === undefined ? this.#plain : icon(colour);
    this.#show();
  }

  #show(): void {
    const title = `${MARKS[this.#tone]}${this.#name === "" ? "" : `${this.#name} – `}trio-exec`;
    if (document.title !== title) document.title = title;
  }
}
