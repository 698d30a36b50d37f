/** What people may choose about the page, kept in the browser. first.js applies the colours before the first paint. */

import { byId } from "./dom";
import { asBoolean, asNumber, type Store } from "./lib/storage";
import { connectPopover } from "./popover";
import type { Shade } from "./screen-colours";

const THEMES = ["auto", "light", "dark"] as const;
const TERMINALS = ["dark", "page"] as const;
const KEYS = ["standard", "vim", "emacs"] as const;
const INDENTS = ["auto", "2", "4", "8", "tab"] as const;

export interface Preferences {
  /** Of code and output, in CSS pixels. */
  readonly size: number;
  readonly theme: (typeof THEMES)[number];
  readonly terminal: (typeof TERMINALS)[number];
  readonly keys: (typeof KEYS)[number];
  readonly indent: (typeof INDENTS)[number];
  readonly wrap: boolean;
  /** Whether screen readers are told what the terminal shows. */
  readonly reader: boolean;
}

const SMALLEST = 9;
const LARGEST = 32;

const DEFAULTS: Preferences = {
  size: 14,
  theme: "auto",
  terminal: "dark",
  keys: "standard",
  indent: "auto",
  wrap: false,
  reader: true,
};

const oneOf =
  <T extends string>(choices: readonly T[]) =>
  (value: unknown): T | undefined =>
    choices.find((choice) => choice === value);

const asSize = (value: unknown): number | undefined => {
  const size = asNumber(value);
  return size === undefined ? undefined : Math.min(LARGEST, Math.max(SMALLEST, Math.round(size)));
};

function load(store: Store): Preferences {
  return {
    size: store.get("size", asSize) ?? DEFAULTS.size,
    theme: store.get("theme", oneOf(THEMES)) ?? DEFAULTS.theme,
    terminal: store.get("terminal", oneOf(TERMINALS)) ?? DEFAULTS.terminal,
    keys: store.get("keys", oneOf(KEYS)) ?? DEFAULTS.keys,
    indent: store.get("indent", oneOf(INDENTS)) ?? DEFAULTS.indent,
    wrap: store.get("wrap", asBoolean) ?? DEFAULTS.wrap,
    reader: store.get("reader", asBoolean) ?? DEFAULTS.reader,
  };
}

export class Settings {
  readonly #store: Store;
  readonly #system = window.matchMedia("(prefers-color-scheme: dark)");
  readonly #size = byId("size-value", HTMLOutputElement);
  readonly #listeners: (() => void)[] = [];
  #now: Preferences;

  constructor(store: Store) {
    this.#store = store;
    this.#now = load(store);
    this.#system.addEventListener("change", () => this.#tell());
    connectPopover(byId("settings-button", HTMLButtonElement), byId("settings", HTMLElement));
    this.#connectStep("size-smaller", -1);
    this.#connectStep("size-larger", 1);
    this.#connectSelect("set-theme", "theme", oneOf(THEMES));
    this.#connectSelect("set-terminal", "terminal", oneOf(TERMINALS));
    this.#connectSelect("set-keys", "keys", oneOf(KEYS));
    this.#connectSelect("set-tab", "indent", oneOf(INDENTS));
    this.#connectCheckbox("set-wrap", "wrap");
    this.#connectCheckbox("set-reader", "reader");
    this.#apply();
  }

  get now(): Preferences {
    return this.#now;
  }

  get shade(): Shade {
    if (this.#now.theme !== "auto") return this.#now.theme;
    return this.#system.matches ? "dark" : "light";
  }

  get screenShade(): Shade {
    return this.#now.terminal === "dark" ? "dark" : this.shade;
  }

  /** For this load of the page alone, as a link may ask for. */
  useTheme(theme: Shade): void {
    this.#now = { ...this.#now, theme };
    this.#apply();
    this.#tell();
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  #set<Name extends keyof Preferences>(name: Name, value: Preferences[Name]): void {
    this.#now = { ...this.#now, [name]: value };
    if (value === DEFAULTS[name]) this.#store.remove(name);
    else this.#store.set(name, value);
    this.#apply();
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  #apply(): void {
    const { theme, terminal, size } = this.#now;
    const root = document.documentElement;
    if (theme === "auto") delete root.dataset["theme"];
    else root.dataset["theme"] = theme;
    if (terminal === "dark") delete root.dataset["terminal"];
    else root.dataset["terminal"] = terminal;
    root.style.setProperty("--code-size", `${size}px`);
    this.#size.value = String(size);
  }

  #connectStep(id: string, step: number): void {
    byId(id, HTMLButtonElement).addEventListener("click", () => {
      this.#set("size", Math.min(LARGEST, Math.max(SMALLEST, this.#now.size + step)));
    });
  }

  #connectSelect<Name extends "theme" | "terminal" | "keys" | "indent">(
    id: string,
    name: Name,
    parse: (value: unknown) => Preferences[Name] | undefined,
  ): void {
    const select = byId(id, HTMLSelectElement);
    select.value = this.#now[name];
    select.addEventListener("change", () => {
      const value = parse(select.value);
      if (value !== undefined) this.#set(name, value);
    });
  }

  #connectCheckbox(id: string, name: "wrap" | "reader"): void {
    const box = byId(id, HTMLInputElement);
    box.checked = this.#now[name];
    box.addEventListener("change", () => this.#set(name, box.checked));
  }
}
