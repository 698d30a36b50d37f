/** The one button that runs a program, and ends it while it runs. */

import { byId } from "./dom";

/** Milliseconds in which a second click is the other half of a double click, and means no Stop. */
const DOUBLE_CLICK = 500;

export class RunButton {
  readonly #button = byId("run", HTMLButtonElement);
  readonly #label = byId("run-label", HTMLElement);
  #pressed = -Infinity;

  constructor(run: () => void, stop: () => void) {
    this.#button.addEventListener("click", () => {
      if (this.#button.dataset["does"] !== "stop") {
        this.#pressed = performance.now();
        run();
      } else if (performance.now() - this.#pressed > DOUBLE_CLICK) {
        stop();
      }
    });
  }

  enable(): void {
    this.#button.setAttribute("aria-disabled", "false");
  }

  /** What it does now; `label` and `title` where they are not the usual ones for that. */
  show(does: "run" | "stop", label = does === "run" ? "Run" : "Stop", title = does === "run" ? "" : "End the program"): void {
    this.#button.dataset["does"] = does;
    this.#label.textContent = label;
    this.#button.title = title;
  }
}
