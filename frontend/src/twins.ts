/** Tabs with one session: a browser that duplicates a tab copies what belongs to it. The tab that was there first keeps the session. */

import { randomId } from "./lib/program";
import { isRecord } from "./wire";

/** How long an answer may take; tabs that a browser has put to sleep give none. */
const PATIENCE = 200;

export class Twins {
  readonly #channel = new BroadcastChannel("trio-exec:sessions");
  readonly #page = randomId();
  /** The session that this tab would go on with, as soon as nobody else has it. */
  #wanted: string | undefined;
  #answered: () => void = () => undefined;

  /** `mine` is the session that this tab has. */
  constructor(mine: () => string | undefined) {
    this.#channel.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
      if (!isRecord(data)) return;
      const { session, page, taken } = data;
      if (typeof session !== "string" || typeof page !== "string") return;
      if (taken === true) {
        if (page === this.#page && session === this.#wanted) this.#answered();
      } else if (session === mine() || (session === this.#wanted && this.#page < page)) {
        // Of two that ask at once, the one with the smaller name gets it.
        this.#channel.postMessage({ session, page, taken: true });
      }
    });
  }

  /** Whether another tab has this session. */
  has(session: string): Promise<boolean> {
    this.#wanted = session;
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), PATIENCE);
      this.#answered = () => {
        clearTimeout(timer);
        this.#wanted = undefined;
        resolve(true);
      };
      this.#channel.postMessage({ session, page: this.#page });
    });
  }
}
