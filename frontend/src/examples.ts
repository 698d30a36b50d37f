/** The menu of example programs: a popover with arrow keys. */

import type { Example } from "./api";
import { byId, textElement } from "./dom";

export class ExamplesMenu {
  readonly #button = byId("examples-button", HTMLButtonElement);
  readonly #menu = byId("examples", HTMLElement);
  readonly #list = byId("examples-list", HTMLElement);
  readonly #chosen: (example: Example) => void;

  constructor(chosen: (example: Example) => void) {
    this.#chosen = chosen;
    this.#menu.addEventListener("toggle", (event) => {
      const open = event.newState === "open";
      this.#button.setAttribute("aria-expanded", String(open));
      if (open) this.#place();
    });
    this.#menu.addEventListener("keydown", (event) => this.#handleKey(event));
    this.#button.setAttribute("aria-expanded", "false");
  }

  /** Fills the menu; `earlier` brings back code that was put aside. */
  show(examples: readonly Example[], earlier?: () => void): void {
    this.#button.hidden = examples.length === 0 && !earlier;
    const items = examples.map((example) =>
      this.#item(example.title, example.tty ? "terminal" : undefined, () => this.#chosen(example)),
    );
    if (earlier) items.push(this.#item("Your earlier code", "put aside", earlier));
    this.#list.replaceChildren(...items);
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

  #place(): void {
    const { left, bottom } = this.#button.getBoundingClientRect();
    const rightmost = document.documentElement.clientWidth - this.#menu.offsetWidth - 8;
    this.#menu.style.left = `${Math.max(8, Math.min(left, rightmost))}px`;
    this.#menu.style.top = `${bottom + 6}px`;
    this.#buttons[0]?.focus();
  }

  get #buttons(): HTMLButtonElement[] {
    return [...this.#list.querySelectorAll("button")];
  }

  #handleKey(event: KeyboardEvent): void {
    const buttons = this.#buttons;
    const at = buttons.findIndex((button) => button === document.activeElement);
    const moves: Readonly<Record<string, number>> = {
      ArrowDown: (at + 1) % buttons.length,
      ArrowUp: (at - 1 + buttons.length) % buttons.length,
      Home: 0,
      End: buttons.length - 1,
    };
    const target = moves[event.key];
    if (target === undefined) return;
    event.preventDefault();
    buttons[target]?.focus();
  }
}
