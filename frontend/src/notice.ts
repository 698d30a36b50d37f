/** The bar below the header for what has happened to the code or the page, with at most one thing to do about it. */

import { byId } from "./dom";

export interface Action {
  readonly label: string;
  run(): void;
}

export class Notice {
  readonly #bar = byId("notice", HTMLElement);
  readonly #text = byId("notice-text", HTMLElement);
  readonly #button = byId("notice-action", HTMLButtonElement);
  #action: Action | undefined;
  #ofRun = false;

  constructor() {
    this.#button.addEventListener("click", () => {
      const action = this.#action;
      this.hide();
      action?.run();
    });
    byId("notice-close", HTMLButtonElement).addEventListener("click", () => this.hide());
  }

  /** About the program that runs, or has run last: nobody wants to know once another one is started. */
  showOfRun(text: string, action?: Action): void {
    this.show(text, action);
    this.#ofRun = true;
  }

  /** Hides what was about a program that another one follows. */
  nextRun(): void {
    if (this.#ofRun) this.hide();
  }

  show(text: string, action?: Action): void {
    this.#ofRun = false;
    this.#action = action;
    this.#bar.hidden = false;
    this.#text.textContent = text;
    this.#button.hidden = action === undefined;
    this.#button.textContent = action?.label ?? "";
  }

  hide(): void {
    this.#bar.hidden = true;
    this.#text.textContent = "";
    this.#action = undefined;
  }
}
