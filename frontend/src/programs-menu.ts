/** The menu of programs: which there are, and what can be done with the open one. */

import { byId, textElement } from "./dom";
import { ago } from "./lib/format";
import { firstLine, type Program } from "./lib/program";
import { connectPopover, moveByArrows } from "./popover";

export interface ProgramsMenuEvents {
  /** What there is, in the order in which it is shown, and which of it is open. */
  list(): { readonly programs: readonly Program[]; readonly open: string; readonly hasExample: boolean };
  /** A language's title. */
  title(language: string): string;
  open(id: string): void;
  rename(id: string): void;
  remove(id: string): void;
  create(): void;
  duplicate(): void;
  reset(): void;
  /** Asks for local files to open. */
  openFiles(): void;
  saveToFile(): void;
}

export class ProgramsMenu {
  readonly #events: ProgramsMenuEvents;
  readonly #list = byId("programs-list", HTMLElement);
  readonly #title = byId("programs-open-title", HTMLElement);
  readonly #reset = byId("program-reset", HTMLButtonElement);
  readonly #menu = byId("programs", HTMLElement);
  /** Which program is open. */
  #open = "";

  constructor(events: ProgramsMenuEvents) {
    this.#events = events;
    connectPopover(byId("programs-button", HTMLButtonElement), this.#menu, () => {
      this.#entries.find(({ dataset }) => dataset["id"] === this.#open)?.focus();
    });
    this.#menu.addEventListener("beforetoggle", ({ newState }) => {
      if (newState === "open") this.#fill();
    });
    this.#connect("program-new", () => events.create());
    this.#connect("program-rename", () => events.rename(this.#open));
    this.#connect("program-duplicate", () => events.duplicate());
    this.#connect("program-reset", () => events.reset());
    this.#connect("program-open", () => events.openFiles());
    this.#connect("program-save", () => events.saveToFile());
    this.#connect("program-remove", () => events.remove(this.#open));
    this.#list.addEventListener("keydown", (event) => this.#handleKey(event));
  }

  #connect(id: string, action: () => void): void {
    byId(id, HTMLButtonElement).addEventListener("click", () => {
      this.#menu.hidePopover();
      action();
    });
  }

  #fill(): void {
    const { programs, open, hasExample } = this.#events.list();
    this.#open = open;
    this.#title.textContent = programs.find(({ id }) => id === open)?.name ?? "";
    this.#reset.hidden = !hasExample;
    this.#list.replaceChildren(...programs.map((program) => this.#entry(program)));
  }

  #entry(program: Program): HTMLLIElement {
    const { id, name, language, changed, project } = program;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "program";
    button.dataset["id"] = id;
    button.setAttribute("aria-current", String(id === this.#open));
    const when = changed === 0 ? "not changed yet" : ago(changed, Date.now());
    button.append(
      textElement("span", name, "program-name"),
      textElement("span", `${this.#events.title(language)} · ${when}`, "program-facts"),
      textElement("code", firstLine(project), "program-line"),
    );
    button.addEventListener("click", () => {
      this.#menu.hidePopover();
      this.#events.open(id);
    });
    const item = document.createElement("li");
    item.append(button);
    if (id !== this.#open) item.append(this.#removal(program));
    return item;
  }

  #removal({ id, name }: Program): HTMLButtonElement {
    const button = textElement("button", "×", "program-remove");
    button.type = "button";
    button.title = "Remove";
    button.setAttribute("aria-label", `Remove “${name}”`);
    // The keyboard removes with Delete; a stop for each of them would make the way through the list twice as long.
    button.tabIndex = -1;
    button.addEventListener("click", () => this.#remove(id));
    return button;
  }

  /** Removes one, and leaves the menu open for the next. */
  #remove(id: string): void {
    const at = this.#entries.findIndex((it) => it.dataset["id"] === id);
    this.#events.remove(id);
    this.#fill();
    this.#entries[Math.min(at, this.#entries.length - 1)]?.focus();
  }

  get #entries(): HTMLElement[] {
    return [...this.#list.querySelectorAll<HTMLElement>(".program")];
  }

  #handleKey(event: KeyboardEvent): void {
    moveByArrows(event, this.#entries);
    const id = document.activeElement instanceof HTMLElement ? document.activeElement.dataset["id"] : undefined;
    if (id === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Delete") {
      this.#remove(id);
    } else if (event.key === "F2") {
      this.#menu.hidePopover();
      this.#events.rename(id);
    } else {
      return;
    }
    event.preventDefault();
  }
}
