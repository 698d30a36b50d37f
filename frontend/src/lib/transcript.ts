/** Keeps what a program has printed, for saving it as a file. */

// Control sequences are what terminals understand and text files do not: CSI, OSC and its relatives, the rest.
const SEQUENCES =
  // eslint-disable-next-line no-control-regex -- control characters are what it is about
  /\u001b\[[0-?]*[ -/]*[@-~]|\u001b[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)|\u001b[ -/]*[0-~]/g;

export function withoutControlSequences(text: string): string {
  return text.replace(SEQUENCES, "").replaceAll("\r\n", "\n");
}

export class Transcript {
  #chunks: string[] = [];

  get empty(): boolean {
    return this.#chunks.length === 0;
  }

  add(text: string): void {
    this.#chunks.push(text);
  }

  clear(): void {
    this.#chunks = [];
  }

  /** All of it, in the order in which it came, as plain text. */
  text(): string {
    return withoutControlSequences(this.#chunks.join(""));
  }
}
