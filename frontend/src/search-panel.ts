/** The editor's search: one row to find, one to replace, and which of how many is selected. */

import {
  closeSearchPanel,
  findNext,
  findPrevious,
  getSearchQuery,
  replaceAll,
  replaceNext,
  search,
  SearchQuery,
  setSearchQuery,
} from "@codemirror/search";
import { type EditorState, type Extension } from "@codemirror/state";
import { EditorView, runScopeHandlers, type Panel, type ViewUpdate } from "@codemirror/view";

import { textElement } from "./dom";

/** Counting beyond takes long, and tells nobody more. */
const MANY = 1000;

/** Which match is selected, of how many, in words. */
function countWords(state: EditorState): string {
  const query = getSearchQuery(state);
  if (query.search === "") return "";
  if (!query.valid) return "no such pattern";
  const { from, to } = state.selection.main;
  let count = 0;
  let at = 0;
  const cursor = query.getCursor(state);
  for (let next = cursor.next(); !next.done && count < MANY; next = cursor.next()) {
    count += 1;
    if (next.value.from === from && next.value.to === to) at = count;
  }
  if (count === 0) return "none";
  const many = count === MANY ? `${MANY} or more` : String(count);
  return at === 0 ? `${many} found` : `${at} of ${many}`;
}

function button(words: string, title: string, action: () => void): HTMLButtonElement {
  const element = textElement("button", words, "control small");
  element.type = "button";
  element.title = title;
  element.addEventListener("click", action);
  return element;
}

/** A button that stays pressed. */
function toggle(words: string, title: string, changed: () => void): HTMLButtonElement {
  const element = button(words, title, () => {
    element.setAttribute("aria-pressed", String(element.getAttribute("aria-pressed") !== "true"));
    changed();
  });
  element.setAttribute("aria-pressed", "false");
  return element;
}

function input(label: string, main: boolean): HTMLInputElement {
  const element = document.createElement("input");
  element.className = "field mono";
  element.type = "text";
  element.placeholder = label;
  element.autocomplete = "off";
  element.spellcheck = false;
  element.setAttribute("aria-label", label);
  // CodeMirror gives the focus to it when the panel is opened again.
  if (main) element.setAttribute("main-field", "true");
  return element;
}

function row(...elements: HTMLElement[]): HTMLElement {
  const element = document.createElement("div");
  element.append(...elements);
  return element;
}

class SearchPanel implements Panel {
  readonly top = true;
  readonly dom = document.createElement("div");
  readonly #view: EditorView;
  readonly #find = input("Find", true);
  readonly #replace = input("Replace", false);
  readonly #count = textElement("span", "", "count");
  readonly #case = toggle("Case", "Match case", () => this.#commit());
  readonly #word = toggle("Word", "Whole words alone", () => this.#commit());
  readonly #pattern = toggle("Regex", "A regular expression", () => this.#commit());

  constructor(view: EditorView) {
    this.#view = view;
    this.#count.role = "status";
    this.dom.className = "search";
    const close = button("×", "Close the search (Escape)", () => closeSearchPanel(view));
    close.setAttribute("aria-label", "Close the search");
    this.dom.append(
      row(
        this.#find,
        this.#count,
        button("↑", "Previous (Shift Enter)", () => findPrevious(view)),
        button("↓", "Next (Enter)", () => findNext(view)),
        this.#case,
        this.#word,
        this.#pattern,
        close,
      ),
      row(
        this.#replace,
        button("Replace", "Replace this one", () => replaceNext(view)),
        button("All", "Replace all", () => replaceAll(view)),
      ),
    );
    for (const field of [this.#find, this.#replace]) field.addEventListener("input", () => this.#commit());
    this.dom.addEventListener("keydown", (event) => this.#handleKey(event));
    this.#show(getSearchQuery(view.state));
  }

  mount(): void {
    this.#find.select();
  }

  update(update: ViewUpdate): void {
    const asked = update.transactions.some((it) => it.effects.some((effect) => effect.is(setSearchQuery)));
    if (asked) this.#show(getSearchQuery(update.state));
    else if (update.docChanged || update.selectionSet) this.#count.textContent = countWords(update.state);
  }

  #show(query: SearchQuery): void {
    if (this.#find.value !== query.search) this.#find.value = query.search;
    if (this.#replace.value !== query.replace) this.#replace.value = query.replace;
    this.#case.setAttribute("aria-pressed", String(query.caseSensitive));
    this.#word.setAttribute("aria-pressed", String(query.wholeWord));
    this.#pattern.setAttribute("aria-pressed", String(query.regexp));
    this.#count.textContent = countWords(this.#view.state);
  }

  #commit(): void {
    const pressed = (element: HTMLElement): boolean => element.getAttribute("aria-pressed") === "true";
    const query = new SearchQuery({
      search: this.#find.value,
      replace: this.#replace.value,
      caseSensitive: pressed(this.#case),
      wholeWord: pressed(this.#word),
      regexp: pressed(this.#pattern),
      literal: !pressed(this.#pattern),
    });
    if (!query.eq(getSearchQuery(this.#view.state))) this.#view.dispatch({ effects: setSearchQuery.of(query) });
  }

  #handleKey(event: KeyboardEvent): void {
    if (runScopeHandlers(this.#view, event, "search-panel")) event.preventDefault();
    else if (event.key === "Enter" && event.target === this.#find) {
      event.preventDefault();
      (event.shiftKey ? findPrevious : findNext)(this.#view);
    } else if (event.key === "Enter" && event.target === this.#replace) {
      event.preventDefault();
      replaceNext(this.#view);
    }
  }
}

const looks = EditorView.theme({
  ".cm-panels": { backgroundColor: "var(--raised)", color: "var(--text)" },
  ".cm-panels.cm-panels-top": { borderBottom: "1px solid var(--line)" },
  ".search": { display: "flex", flexDirection: "column", gap: "6px", padding: "8px 12px", fontFamily: "var(--sans)" },
  ".search > div": { display: "flex", flexWrap: "wrap", alignItems: "center", gap: "4px" },
  ".search .field": { flex: "1 1 12ch", minWidth: "0" },
  ".search .count": { minWidth: "8ch", padding: "0 4px", color: "var(--muted)", fontSize: "13px" },
  ".search [aria-pressed=true]": { color: "var(--on-accent)", backgroundColor: "var(--accent-fill)" },
});

export const searchPanel: Extension = [search({ createPanel: (view) => new SearchPanel(view) }), looks];
