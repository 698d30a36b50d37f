/** The example programs: a menu with arrow keys, and cards where nothing has run yet. */

import type { Example } from "./api";
import { byId, textElement } from "./dom";
import { connectPopover, moveByArrows } from "./popover";

/** As many as fit the smallest pane. */
const CARDS = 3;

export class ExamplesMenu {
  readonly #button = byId("examples-button", HTMLButtonElement);
  readonly #menu = byId("examples", HTMLElement);
  readonly #list = byId("examples-list", HTMLElement);
  readonly #cards = byId("cards", HTMLElement);
  readonly #chosen: (example: Example) => void;

  constructor(chosen: (example: Example) => void) {
    this.#chosen = chosen;
    connectPopover(this.#button, this.#menu, () => this.#buttons[0]?.focus());
    this.#menu.addEventListener("keydown", (event) => moveByArrows(event, this.#buttons));
  }

  /** Fills the menu and the cards. */
  show(examples: readonly Example[]): void {
    this.#button.hidden = examples.length === 0;
    this.#list.replaceChildren(...examples.map((example) => this.#item(example)));
    this.#cards.replaceChildren(...examples.filter(({ note }) => note !== undefined).slice(0, CARDS).map((it) => this.#card(it)));
  }

  #card(example: Example): HTMLLIElement {
    const button = textElement("button", example.title, "card");
    button.type = "button";
    button.append(textElement("span", example.note ?? ""));
    button.addEventListener("click", () => this.#chosen(example));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }

  #item(example: Example): HTMLLIElement {
    const button = textElement("button", example.title);
    button.type = "button";
    if (example.tty) button.append(textElement("span", "terminal", "badge"));
    button.addEventListener("click", () => {
      this.#menu.hidePopover();
      this.#chosen(example);
    });
    const item = document.createElement("li");
    item.append(button);
    return item;
  }

  get #buttons(): HTMLButtonElement[] {
    return [...this.#list.querySelectorAll("button")];
  }
}
