/** In the dialog of links: the HTML with which another page shows the program in a frame. */

import { copyText } from "./clipboard";
import { byId } from "./dom";
import { embedHtml } from "./lib/embed-html";

export class EmbedSnippet {
  readonly #details = byId("embed", HTMLDetailsElement);
  readonly #theme = byId("embed-theme", HTMLSelectElement);
  readonly #run = byId("embed-run", HTMLInputElement);
  readonly #readOnly = byId("embed-readonly", HTMLInputElement);
  readonly #html = byId("embed-html", HTMLTextAreaElement);
  readonly #copy = byId("embed-copy", HTMLButtonElement);
  readonly #note = byId("embed-note", HTMLElement);
  #link = "";

  constructor() {
    for (const field of [this.#theme, this.#run, this.#readOnly]) field.addEventListener("change", () => this.#show());
    this.#html.addEventListener("focus", () => this.#html.select());
    this.#copy.addEventListener("click", () => void this.#copyHtml());
    this.#details.addEventListener("toggle", () => void this.#ask());
  }

  /** Shows the program of this link. */
  use(link: string): void {
    this.#link = link;
    this.#show();
  }

  #show(): void {
    this.#copy.textContent = "Copy HTML";
    this.#html.value = embedHtml(this.#link, {
      theme: this.#theme.value,
      run: this.#run.checked,
      readOnly: this.#readOnly.checked,
    });
  }

  /** Whether this server lets anybody show it. */
  async #ask(): Promise<void> {
    if (!this.#details.open) return;
    const answer = await fetch(new URL("embed", document.baseURI), { method: "HEAD" }).catch(() => undefined);
    this.#note.textContent =
      answer?.status === 404 ? "This server lets no page show its programs yet: its operator names those that may in embed_origins." : "";
  }

  async #copyHtml(): Promise<void> {
    this.#html.select();
    this.#copy.textContent = (await copyText(this.#html.value)) ? "Copied" : "Can't copy";
  }
}
