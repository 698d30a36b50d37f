/** The row of files: a tab list by the book, with one stop for the Tab key and arrows within. */

import { byId, textElement } from "./dom";

export interface TabEvents {
  select(index: number): void;
  rename(index: number): void;
  remove(index: number): void;
}

export class Tabs {
  readonly #list = byId("tabs", HTMLElement);
  readonly #panel = byId("editor", HTMLElement);
  readonly #events: TabEvents;

  constructor(events: TabEvents) {
    this.#events = events;
    this.#list.addEventListener("click", (event) => {
      const index = this.#indexOf(event.target);
      if (index !== undefined) events.select(index);
    });
    this.#list.addEventListener("dblclick", (event) => {
      const index = this.#indexOf(event.target);
      if (index !== undefined) events.rename(index);
    });
    this.#list.addEventListener("keydown", (event) => this.#handleKey(event));
  }

  show(names: readonly string[], active: number): void {
    const focused = this.#list.contains(document.activeElement);
    const tabs = names.map((name, i) => {
      const tab = textElement("button", name, "tab");
      tab.type = "button";
      tab.id = `tab-${i}`;
      tab.role = "tab";
      tab.tabIndex = i === active ? 0 : -1;
      tab.setAttribute("aria-selected", String(i === active));
      tab.setAttribute("aria-controls", this.#panel.id);
      if (i === 0 && names.length > 1) {
        tab.append(textElement("span", "main", "badge"));
        tab.title = "The main file: the one that runs";
      }
      return tab;
    });
    this.#list.replaceChildren(...tabs);
    this.#panel.setAttribute("aria-labelledby", `tab-${active}`);
    const current = tabs[active];
    if (focused) current?.focus();
    current?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  #indexOf(target: EventTarget | null): number | undefined {
    const tab = target instanceof Element ? target.closest(".tab") : null;
    const index = tab ? [...this.#list.children].indexOf(tab) : -1;
    return index >= 0 ? index : undefined;
  }

  #handleKey(event: KeyboardEvent): void {
    const index = this.#indexOf(event.target);
    if (index === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    const count = this.#list.children.length;
    const moves: Readonly<Record<string, number>> = {
      ArrowLeft: (index + count - 1) % count,
      ArrowRight: (index + 1) % count,
      Home: 0,
      End: count - 1,
    };
    const target = moves[event.key];
    if (target !== undefined) this.#events.select(target);
    else if (event.key === "F2") this.#events.rename(index);
    else if (event.key === "Delete") this.#events.remove(index);
    else return;
    event.preventDefault();
  }
}
