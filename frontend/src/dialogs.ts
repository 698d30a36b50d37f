/** The dialogs: a file's name, the link to share, the keyboard. The browser's own <dialog> traps and returns the focus. */

import { copyText } from "./clipboard";
import { byId } from "./dom";
import { EmbedSnippet } from "./embed-snippet";

/** A click beside a dialog closes it, as Escape does: what was typed in it is a name or a link, and no work. */
export function closeByClickOutside(): void {
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("pointerdown", (event) => {
      if (event.target !== dialog) return;
      const { left, right, top, bottom } = dialog.getBoundingClientRect();
      const { clientX: x, clientY: y } = event;
      if (x < left || x > right || y < top || y > bottom) dialog.close();
    });
  }
}

export interface NameQuestion {
  readonly title: string;
  /** What is to be named. */
  readonly label: string;
  readonly name: string;
  /** What the button says that does it. */
  readonly verb: string;
  /** What is wrong with a name, in words. */
  check(name: string): string | undefined;
  /** What is worth knowing about a name that can be used. */
  hint?(name: string): string | undefined;
  done(name: string): void;
  /** Makes the file the main one, where it is not. */
  makeMain?(): void;
}

export class NameDialog {
  readonly #dialog = byId("name-dialog", HTMLDialogElement);
  readonly #title = byId("name-title", HTMLElement);
  readonly #input = byId("name-input", HTMLInputElement);
  readonly #problem = byId("name-problem", HTMLElement);
  readonly #hint = byId("name-hint", HTMLElement);
  readonly #label = byId("name-label", HTMLElement);
  readonly #main = byId("name-main", HTMLButtonElement);
  #question: NameQuestion | undefined;

  constructor() {
    byId("name-cancel", HTMLButtonElement).addEventListener("click", () => this.#dialog.close());
    this.#main.addEventListener("click", () => {
      this.#dialog.close();
      this.#question?.makeMain?.();
    });
    this.#input.addEventListener("input", () => {
      this.#say(undefined);
      this.#showHint();
    });
    byId("name-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      const name = this.#input.value.trim();
      const problem = this.#question?.check(name);
      if (problem !== undefined) {
        this.#say(problem);
        return;
      }
      this.#dialog.close();
      this.#question?.done(name);
    });
  }

  ask(question: NameQuestion): void {
    const { title, label, name, verb } = question;
    this.#question = question;
    this.#title.textContent = title;
    this.#label.textContent = label;
    this.#input.value = name;
    byId("name-done", HTMLButtonElement).textContent = verb;
    this.#main.hidden = question.makeMain === undefined;
    this.#say(undefined);
    this.#showHint();
    this.#dialog.showModal();
    this.#input.focus();
    // The part that changes: the stem, without the ending.
    this.#input.setSelectionRange(name.lastIndexOf("/") + 1, Math.max(name.lastIndexOf("."), 0) || name.length);
  }

  #showHint(): void {
    this.#hint.textContent = this.#question?.hint?.(this.#input.value.trim()) ?? "";
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
  readonly #watch = byId("share-watch", HTMLElement);
  readonly #watchLink = byId("watch-link", HTMLInputElement);
  readonly #snippet = new EmbedSnippet();
  readonly #watchCopy = byId("watch-copy", HTMLButtonElement);

  constructor() {
    byId("share-close", HTMLButtonElement).addEventListener("click", () => this.#dialog.close());
    byId("share-copy", HTMLButtonElement).addEventListener("click", () => void this.#copy());
    this.#link.addEventListener("focus", () => this.#link.select());
    this.#watchLink.addEventListener("focus", () => this.#watchLink.select());
    this.#watchCopy.addEventListener("click", () => void this.#copyWatchLink());
  }

  /** `watchLink` is there while a program runs that others can be let watch. */
  show(link: string, watchLink: string | undefined): void {
    this.#link.value = link;
    this.#watch.hidden = watchLink === undefined;
    this.#watchLink.value = watchLink ?? "";
    this.#snippet.use(link);
    this.#watchCopy.textContent = "Copy";
    this.#note.textContent =
      link.length > LONG_LINK ? `It has ${link.length} characters: some mail and chat programs cut links that long.` : "";
    this.#dialog.showModal();
    this.#link.focus();
  }

  async #copyWatchLink(): Promise<void> {
    this.#watchLink.select();
    this.#watchCopy.textContent = (await copyText(this.#watchLink.value)) ? "Copied" : "Can't copy";
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
