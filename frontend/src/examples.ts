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

  /** Fills the menu and the cards; `earlier` brings back code that was put aside. */
  show(examples: readonly Example[], earlier?: () => void): void {
    this.#button.hidden = examples.length === 0 && !earlier;
    const items = examples.map((example) =>
      this.#item(example.title, example.tty ? "terminal" : undefined, () => this.#chosen(example)),
    );
    if (earlier) items.push(this.#item("Your earlier code", "put aside", earlier));
    this.#list.replaceChildren(...items);
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

  #item(title: string, badge: string | undefined, action: () => void): HTMLLIElement {
    const button = textElement("button", title);
    button.type = "button";
    if (badge !== undefined) button.append(textElement("span", badge, "badge"));
    button.addEventListener("click", () => {
      this.#menu.hidePopover();
      action();
    });
    const item = document.createElement("li");
    item.append(button);
    return item;
  }

  get #buttons(): HTMLButtonElement[] {
    return [...this.#list.querySelectorAll("button")];
  }
}
