/** The API key, where the server wants one: asked for once, kept in this browser, and forgotten when that is wished. */

import { useKey } from "./api";
import { byId } from "./dom";
import { asString, type Store } from "./lib/storage";

/** What can stand in a header and in a WebSocket's subprotocol; a key has nothing else. */
const FORM = /^[A-Za-z0-9_]+$/;

export class Key {
  readonly #store: Store;
  readonly #dialog = byId("key-dialog", HTMLDialogElement);
  readonly #why = byId("key-why", HTMLElement);
  readonly #input = byId("key-input", HTMLInputElement);
  readonly #problem = byId("key-problem", HTMLElement);
  readonly #fact = byId("key-fact", HTMLElement);
  #given: ((given: boolean) => void) | undefined;

  constructor(store: Store) {
    this.#store = store;
    byId("key-cancel", HTMLButtonElement).addEventListener("click", () => this.#dialog.close());
    byId("key-forget", HTMLButtonElement).addEventListener("click", () => this.#forget());
    this.#input.addEventListener("input", () => this.#say(undefined));
    this.#dialog.addEventListener("close", () => this.#settle(false));
    byId("key-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.#take(this.#input.value.trim());
    });
    this.#use(store.get("key", asString));
  }

  /** Asks for a key; false when none was given. */
  ask(why: string): Promise<boolean> {
    this.#why.textContent = why;
    this.#input.value = "";
    this.#say(undefined);
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#input.focus();
    this.#settle(false);
    return new Promise((resolve) => void (this.#given = resolve));
  }

  #take(key: string): void {
    if (!FORM.test(key)) {
      this.#say("This can't be a key: keys look like te_5f0c3a91_2b7c…");
      return;
    }
    this.#store.set("key", key);
    this.#use(key);
    this.#settle(true);
    this.#dialog.close();
  }

  #forget(): void {
    this.#store.remove("key");
    location.reload();
  }

  #use(key: string | undefined): void {
    useKey(key);
    this.#fact.hidden = key === undefined;
  }

  #settle(given: boolean): void {
    this.#given?.(given);
    this.#given = undefined;
  }

  #say(problem: string | undefined): void {
    this.#problem.textContent = problem ?? "";
    this.#input.setAttribute("aria-invalid", String(problem !== undefined));
  }
}
