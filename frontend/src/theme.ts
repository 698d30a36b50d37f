/** Light, dark, or as the system has it; theme.js applies a kept choice before the first paint. */

import { byId } from "./dom";
import type { Store } from "./lib/storage";
import type { Shade } from "./screen-colours";

type Choice = "auto" | Shade;

const NEXT: Readonly<Record<Choice, Choice>> = { auto: "light", light: "dark", dark: "auto" };
const WORDS: Readonly<Record<Choice, string>> = {
  auto: "Colours: as the system has them",
  light: "Colours: light",
  dark: "Colours: dark",
};

const asChoice = (value: unknown): Choice | undefined => (value === "light" || value === "dark" ? value : undefined);

export class Theme {
  readonly #button = byId("theme", HTMLButtonElement);
  readonly #system = window.matchMedia("(prefers-color-scheme: dark)");
  readonly #store: Store;
  #choice: Choice;
  onChange: (shade: Shade) => void = () => undefined;

  constructor(store: Store) {
    this.#store = store;
    this.#choice = store.get("theme", asChoice) ?? "auto";
    this.#button.addEventListener("click", () => this.#choose(NEXT[this.#choice]));
    this.#system.addEventListener("change", () => this.onChange(this.shade));
    this.#apply();
  }

  get shade(): Shade {
    if (this.#choice !== "auto") return this.#choice;
    return this.#system.matches ? "dark" : "light";
  }

  #choose(choice: Choice): void {
    this.#choice = choice;
    if (choice === "auto") this.#store.remove("theme");
    else this.#store.set("theme", choice);
    this.#apply();
    this.onChange(this.shade);
  }

  #apply(): void {
    if (this.#choice === "auto") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = this.#choice;
    this.#button.setAttribute("aria-label", WORDS[this.#choice]);
    this.#button.title = WORDS[this.#choice];
  }
}
