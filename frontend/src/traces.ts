/** What leads from a program's output to its code: of the one that runs or has run, whatever was opened since. */

import type { LineLink } from "./line-links";
import { findProblems, mentions, type ErrorPatterns, type Place, type Problem } from "./lib/problems";
import type { RunView } from "./lib/status";

/** UTF-16 units of the output that are searched for what went wrong. */
const SEARCHED = 200_000;

export class Traces {
  readonly #goTo: (place: Place) => void;
  #patterns: ErrorPatterns | undefined;
  #files: readonly string[] = [];

  constructor(goTo: (place: Place) => void) {
    this.#goTo = goTo;
  }

  /** Which program it is from now on: how its tools speak, and what its files are called. */
  follow(patterns: ErrorPatterns, files: readonly string[]): void {
    this.#patterns = patterns;
    this.#files = files;
  }

  /** What the output of a program that has failed says of that, the first to look at in front. */
  problems(view: RunView, output: () => string): Problem[] {
    if (view.kind !== "over" || !this.#patterns) return [];
    const { state, exitCode, stage } = view.state;
    if (state !== "finished" || exitCode === undefined || exitCode === 0) return [];
    const text = output();
    // A compiler's first error is the one to mend; of a trace, the end tells what happened.
    const part = stage === "compile" ? text.slice(0, SEARCHED) : text.slice(-SEARCHED);
    return findProblems(part, this.#patterns, this.#files);
  }

  /** Places in a line of output that are in the program's own files. */
  links(line: string): LineLink[] {
    if (!this.#patterns) return [];
    return mentions(line, this.#patterns, this.#files).map((mention) => ({
      start: mention.start,
      end: mention.end,
      title: `Go to ${mention.file}, line ${mention.line}`,
      open: () => this.#goTo(mention),
    }));
  }
}
