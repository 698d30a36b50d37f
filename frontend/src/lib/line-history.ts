/** Lines that were sent, for going back to with the arrow keys. */

const MOST = 200;

export class LineHistory {
  #lines: string[] = [];
  /** How many lines back we are; 0 is the line being typed, which `#draft` keeps. */
  #back = 0;
  #draft = "";

  add(line: string): void {
    this.#back = 0;
    if (line !== "" && line !== this.#lines.at(-1)) this.#lines.push(line);
    if (this.#lines.length > MOST) this.#lines.shift();
  }

  older(current: string): string | undefined {
    if (this.#back === this.#lines.length) return undefined;
    if (this.#back === 0) this.#draft = current;
    this.#back += 1;
    return this.#lines.at(-this.#back);
  }

  newer(): string | undefined {
    if (this.#back === 0) return undefined;
    this.#back -= 1;
    return this.#back === 0 ? this.#draft : this.#lines.at(-this.#back);
  }
}
