/**
 * Output on its way to the screen, in order: neighbours of one kind become one, and what comes out is bounded,
 * so that a flood costs a few large writes with room for the rest of the page in between.
 */

import { inParts } from "./text";

/** A part that is written in well under a frame. */
const PART = 16_384;

export interface Chunk<Kind> {
  readonly kind: Kind;
  readonly text: string;
}

export class Chunks<Kind> {
  #waiting: { readonly kind: Kind; texts: string[]; size: number }[] = [];

  get empty(): boolean {
    return this.#waiting.length === 0;
  }

  add(kind: Kind, text: string): void {
    if (text === "") return;
    let last = this.#waiting.at(-1);
    if (last?.kind !== kind) {
      last = { kind, texts: [], size: 0 };
      this.#waiting.push(last);
    }
    last.texts.push(...inParts(text, PART));
    last.size += text.length;
  }

  /** The next chunk, of one kind and of about `size`. */
  take(size: number): Chunk<Kind> | undefined {
    const first = this.#waiting[0];
    if (!first) return undefined;
    if (first.size <= size) {
      this.#waiting.shift();
      return { kind: first.kind, text: first.texts.join("") };
    }
    let count = 0;
    let taken = 0;
    while (taken < size) taken += first.texts[count++]?.length ?? size;
    const texts = first.texts.splice(0, count);
    first.size -= taken;
    if (first.texts.length === 0) this.#waiting.shift();
    return { kind: first.kind, text: texts.join("") };
  }

  clear(): void {
    this.#waiting = [];
  }
}
