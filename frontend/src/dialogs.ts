/** The dialogs: a file's name, the link to share, the keyboard. The browser's own <dialog> traps and returns the focus. */

import { copyText } from "./clipboard";
import { byId } from "./dom";

export class NameDialog {
  readonly #dialog = byId("name-dialog", HTMLDialogElement);
  readonly #title = byId("name-title", HTMLElement);
  readonly #input = byId("name-input", HTMLInputElement);
  readonly #problem = byId("name-problem", HTMLElement);
  #check: (name: string) => string | undefined = () => undefined;
  #done: (name: string) => void = () => undefined;

  constructor() {
    byId("name-cancel", HTMLButtonElement).addEventListener("click", () => this.#dialog.close());
    this.#input.addEventListener("input", () => this.#say(undefined));
    byId("name-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      const name = this.#input.value.trim();
      const problem = this.#check(name);
      if (problem !== undefined) {
        this.#say(problem);
        return;
      }
      this.#dialog.close();
      this.#done(name);
    });
  }

  ask(title: string, name: string, check: (name: string) => string | undefined, done: (name: string) => void): void {
    this.#title.textContent = title;
    this.#input.value = name;
    this.#check = check;
    this.#done = done;
    this.#say(undefined);
    this.#dialog.showModal();
    this.#input.focus();
    // The part that changes: the stem, without the ending.
    this.#input.setSelectionRange(name.lastIndexOf("/") + 1, Math.max(name.lastIndexOf("."), 0) || name.length);
  }

  #say(problem: string | undefined): void {
    this.#problem.textContent = problem ?? "";
    this.#input.setAttribute("aria-invalid", String(problem !== undefined));
  }
}

/** Above this, chat programs and mail begin to cut links. */
const LONG_LINK = 8000;

export class ShareDialog {
  readonly #dialog = byId("share-dialog", HTMLDialogElement);
  readonly #link = byId("share-link", HTMLInputElement);
  readonly #note = byId("share-note", HTMLElement);

  constructor() {
    byId("share-close", HTMLButtonElement).addEventListener("click", () => this.#dialog.close());
    byId("share-copy", HTMLButtonElement).addEventListener("click", () => void this.#copy());
    this.#link.addEventListener("focus", () => this.#link.select());
  }

  show(link: string): void {
    this.#link.value = link;
    this.#note.textContent =
      link.length > LONG_LINK ? `It has ${link.length} characters: some mail and chat programs cut links that long.` : "";
    this.#dialog.showModal();
    this.#link.focus();
  }

  async #copy(): Promise<void> {
    this.#link.select();
    this.#note.textContent = (await copyText(this.#link.value))
      ? "Copied."
      : "The browser does not let this page copy. The link is selected: copy it from there.";
  }
}

export function connectHelp(): void {
  const dialog = byId("help-dialog", HTMLDialogElement);
  byId("help", HTMLButtonElement).addEventListener("click", () => dialog.showModal());
  byId("help-close", HTMLButtonElement).addEventListener("click", () => dialog.close());
}
