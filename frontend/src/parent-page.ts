/** The page that shows this one in a frame: it tells what to do, and hears what happens. Nobody else does either. */

import { parseCommand, type Command } from "./lib/commands";

export type Report =
  | { readonly type: "ready" }
  | { readonly type: "changed"; readonly language: string; readonly files: readonly unknown[]; readonly args: string }
  | { readonly type: "state"; readonly state: string; readonly inputWanted: boolean }
  | { readonly type: "output"; readonly stream: string; readonly data: string }
  | { readonly type: "result"; readonly state: string; readonly text: string; readonly [figure: string]: unknown }
  | { readonly type: "error"; readonly error: string };

function originOf(address: string): string | undefined {
  try {
    return new URL(address).origin;
  } catch {
    return undefined;
  }
}

export class ParentPage {
  /** Where reports go; undefined while it is not known, or can't be named. */
  #origin = window.parent === window ? undefined : usable(originOf(document.referrer));

  #waiting: Command[] = [];
  #handle: (command: Command) => void = (command) => void this.#waiting.push(command);

  constructor() {
    window.addEventListener("message", ({ source, origin, data }: MessageEvent<unknown>) => {
      if (source !== window.parent || window.parent === window) return;
      const command = parseCommand(data);
      if (!command) return;
      this.#origin = usable(origin);
      if ("problem" in command) this.report({ type: "error", error: command.problem });
      else this.#handle(command);
    });
  }

  /** Hands over what was said so far, and what will be. */
  listen(handle: (command: Command) => void): void {
    this.#handle = handle;
    for (const command of this.#waiting.splice(0)) handle(command);
  }

  report(message: Report): void {
    if (this.#origin !== undefined) window.parent.postMessage({ from: "trio-exec", ...message }, this.#origin);
  }
}

/** Local files and sandboxed pages have an origin that is nobody's, and can't be sent to alone. */
const usable = (origin: string | undefined): string | undefined => (origin === "null" ? undefined : origin);
