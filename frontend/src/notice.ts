/** The bar below the header for what has happened to the code or the page, with what can be done about it. */

import { byId, textElement } from "./dom";

export interface Action {
  readonly label: string;
  run(): void;
}

export class Notice {
  readonly #bar = byId("notice", HTMLElement);
  readonly #text = byId("notice-text", HTMLElement);
  readonly #button = byId("notice-action", HTMLButtonElement);
  readonly #others: HTMLButtonElement[] = [];
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

  /** The first action is the one that most people will want. */
  show(text: string, action?: Action, ...others: readonly Action[]): void {
    this.#ofRun = false;
    this.#action = action;
    this.#bar.hidden = false;
    this.#text.textContent = text;
    this.#button.hidden = action === undefined;
    this.#button.textContent = action?.label ?? "";
    this.#showOthers(others);
  }

  hide(): void {
    this.#bar.hidden = true;
    this.#text.textContent = "";
    this.#action = undefined;
    this.#showOthers([]);
  }

  #showOthers(actions: readonly Action[]): void {
    for (const button of this.#others.splice(0)) button.remove();
    for (const action of actions) {
      const button = textElement("button", action.label, this.#button.className);
      button.type = "button";
      button.addEventListener("click", () => {
        this.hide();
        action.run();
      });
      this.#others.push(button);
    }
    this.#button.after(...this.#others);
  }
}
