/** What the page keeps in the browser. */

import type { Store } from "./lib/storage";

export interface Stores {
  /** What stays in the browser. */
  readonly kept: Store;
  /** What belongs to this tab: a reload goes on with its session, another tab does not. */
  readonly tab: Store;
}
