/** The code editor: CodeMirror with one state per file, so that each keeps its history and its cursor. */

import { autocompletion, closeBrackets, closeBracketsKeymap, completeAnyWord, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentMore, indentWithTab, isolateHistory, undo } from "@codemirror/commands";
import {
  bracketMatching,
  foldGutter,
  foldKeymap,
  indentOnInput,
  indentUnit,
  syntaxHighlighting,
} from "@codemirror/language";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import {
  Annotation,
  Compartment,
  EditorSelection,
  EditorState,
  Prec,
  Transaction,
  type Extension,
  type StateEffect,
  type TransactionSpec,
} from "@codemirror/state";
import {
  crosshairCursor,
  drawSelection,
  dropCursor,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  highlightSpecialChars,
  keymap,
  lineNumbers,
  rectangularSelection,
} from "@codemirror/view";

import { editorColours, editorTheme } from "./editor-theme";
import type { Place, Problem } from "./lib/problems";
import type { SourceFile } from "./lib/project";
import { difference } from "./lib/text";
import { problemMarks, setProblems } from "./problem-marks";
import { searchPanel } from "./search-panel";
import type { Preferences } from "./settings";
import { grammar, indentation } from "./syntax";

/** Whether the editor can be left with Tab is said to those who can't see the hint in the help. */
const DESCRIPTION = "Tab indents. To leave the editor press Escape, then Tab, or press F6.";

export type EditorPreferences = Pick<Preferences, "keys" | "indent" | "wrap">;

/** Whole key sets are large, and loaded for those who want them. */
async function keySet(keys: Preferences["keys"]): Promise<Extension> {
  if (keys === "vim") return (await import("@replit/codemirror-vim")).vim();
  if (keys === "emacs") return (await import("@replit/codemirror-emacs")).emacs();
  return [];
}

/** Marks changes that nobody has made here: they come from another tab. */
const foreign = Annotation.define<true>();

/** What is open, with cursors and histories, to go on with later. */
export interface EditorSession {
  readonly names: readonly string[];
  readonly states: readonly EditorState[];
  readonly active: number;
}

export class Editor {
  readonly #view: EditorView;
  readonly #language = new Compartment();
  readonly #name = new Compartment();
  /** What the settings say; brought up to date in a file's state when it is shown. */
  readonly #chosen = new Compartment();
  readonly #common: Extension;
  #complete: () => void = () => undefined;
  /** Code can be written before its grammar is there, and is to be soonest. */
  readonly #usable = new Promise<void>((resolve) => void (this.#complete = resolve));
  #keys: Extension = [];
  #preferences: EditorPreferences | undefined;
  #readOnly = false;
  #states: EditorState[] = [];
  #names: string[] = [];
  #active = 0;

  constructor(parent: HTMLElement, onChange: () => void) {
    this.#common = [
      lineNumbers(),
      highlightActiveLineGutter(),
      highlightSpecialChars(),
      history(),
      foldGutter(),
      drawSelection(),
      dropCursor(),
      EditorState.allowMultipleSelections.of(true),
      indentOnInput(),
      bracketMatching(),
      closeBrackets(),
      autocompletion(),
      // Also of members, and in languages without a list of their own: words that the file has already.
      EditorState.languageData.of(() => [{ autocomplete: completeAnyWord }]),
      rectangularSelection(),
      crosshairCursor(),
      highlightActiveLine(),
      highlightSelectionMatches(),
      searchPanel,
      problemMarks,
      keymap.of([
        ...closeBracketsKeymap,
        // Mod-Enter runs the program; the page listens for it everywhere.
        ...defaultKeymap.filter(({ key }) => key !== "Mod-Enter"),
        ...searchKeymap,
        ...historyKeymap,
        ...foldKeymap,
        ...completionKeymap,
        indentWithTab,
      ]),
      editorTheme,
      syntaxHighlighting(editorColours),
      EditorView.updateListener.of((update) => {
        if (update.transactions.some((it) => it.docChanged && !it.annotation(foreign))) onChange();
      }),
    ];
    this.#view = new EditorView({ parent });
  }

  get files(): SourceFile[] {
    return this.#names.map((name, i) => ({ name, text: this.#state(i).doc.toString() }));
  }

  load(files: readonly SourceFile[]): void {
    this.#names = files.map(({ name }) => name);
    this.#states = files.map((file) => this.#newState(file));
    this.#show(0);
    this.#names.forEach((_, i) => void this.#highlight(i));
  }

  get active(): number {
    return this.#active;
  }

  get session(): EditorSession {
    this.#keep();
    return { names: this.#names, states: this.#states, active: this.#active };
  }

  /** Goes on with what was open before. */
  restore({ names, states, active }: EditorSession): void {
    this.#names = [...names];
    this.#states = [...states];
    this.#show(active);
  }

  /** Changes the files into these. Cursors and histories stay; what another tab has changed is not undone here. */
  update(files: readonly SourceFile[], by: "this tab" | "another tab"): void {
    const change = (state: EditorState, text: string): TransactionSpec => {
      const changes = difference(state.doc.toString(), text);
      if (!changes) return {};
      return by === "this tab"
        ? { changes, annotations: isolateHistory.of("full") }
        : { changes, annotations: [foreign.of(true), Transaction.addToHistory.of(false)] };
    };
    this.#keep();
    const before = new Map(this.#names.map((name, i) => [name, this.#state(i)]));
    const shown = this.#names[this.#active];
    this.#names = files.map(({ name }) => name);
    const active = this.#names.findIndex((name) => name === shown);
    this.#states = files.map((file, i) => {
      const state = before.get(file.name);
      if (!state) return this.#newState(file);
      return i === active ? state : state.update(change(state, file.text)).state;
    });
    if (active < 0) {
      this.#show(0);
    } else {
      this.#active = active;
      this.#view.dispatch(change(this.#view.state, files[active]?.text ?? ""));
    }
    this.#names.forEach((name, i) => {
      if (!before.has(name)) void this.#highlight(i);
    });
  }

  select(index: number): void {
    this.#keep();
    this.#show(index);
  }

  add(file: SourceFile): void {
    this.#keep();
    this.#names.push(file.name);
    this.#states.push(this.#newState(file));
    this.#show(this.#names.length - 1);
    void this.#highlight(this.#names.length - 1);
  }

  rename(index: number, name: string): void {
    this.#names[index] = name;
    this.#reconfigure(index, this.#name, this.#nameExtension(name));
    void this.#highlight(index);
  }

  /** Moves a file to another place in their order, and shows it. */
  move(from: number, to: number): void {
    this.#keep();
    this.#names.splice(to, 0, ...this.#names.splice(from, 1));
    this.#states.splice(to, 0, ...this.#states.splice(from, 1));
    this.#show(to);
  }

  remove(index: number): void {
    this.#keep();
    this.#names.splice(index, 1);
    this.#states.splice(index, 1);
    this.#show(Math.min(index, this.#names.length - 1));
  }

  get readOnly(): boolean {
    return this.#readOnly;
  }

  /** Whether the text can't be changed by whoever looks at it. */
  set readOnly(readOnly: boolean) {
    if (readOnly === this.#readOnly) return;
    this.#readOnly = readOnly;
    this.#bringUpToDate();
  }

  focus(): void {
    this.#view.focus();
  }

  /** Loads what code can be written without. */
  complete(): void {
    this.#complete();
  }

  /** Resolves when it is so: a set of keys may have to be loaded first. */
  async configure(preferences: EditorPreferences): Promise<void> {
    this.#preferences = preferences;
    const keys = await keySet(preferences.keys);
    // While they were loaded, somebody may have chosen others.
    if (this.#preferences !== preferences) return;
    this.#keys = keys;
    this.#bringUpToDate();
  }

  /** Marks the problems in all files, in place of those marked before. */
  mark(problems: readonly Problem[]): void {
    this.#names.forEach((name, index) => {
      this.#dispatch(index, setProblems.of(problems.filter(({ file }) => file === name)));
    });
  }

  /** Puts the cursor there, in the file that is open. */
  goTo({ line, column = 1 }: Place): void {
    const { doc } = this.#view.state;
    const { from, to } = doc.line(Math.min(Math.max(line, 1), doc.lines));
    const anchor = Math.min(from + column - 1, to);
    this.#view.dispatch({ selection: { anchor }, effects: EditorView.scrollIntoView(anchor, { y: "center" }) });
    this.#view.focus();
  }

  /** Types text at the cursor, as the buttons for touch screens do; `after` goes behind it. */
  insert(text: string, after = ""): void {
    const { state } = this.#view;
    if (state.readOnly) return;
    const change = state.changeByRange(({ from, to }) => ({
      changes: [{ from, to, insert: text + state.sliceDoc(from, to) + after }],
      range: EditorSelection.range(from + text.length, to + text.length),
    }));
    this.#view.dispatch(state.update(change, { userEvent: "input.type", scrollIntoView: true }));
    this.#view.focus();
  }

  undo(): void {
    undo(this.#view);
    this.#view.focus();
  }

  indent(): void {
    indentMore(this.#view);
    this.#view.focus();
  }

  #state(index: number): EditorState {
    const state = index === this.#active ? this.#view.state : this.#states[index];
    if (!state) throw new RangeError(`there is no file ${index}`);
    return state;
  }

  #keep(): void {
    this.#states[this.#active] = this.#view.state;
  }

  #show(index: number): void {
    const state = this.#states[index];
    if (!state) throw new RangeError(`there is no file ${index}`);
    this.#active = index;
    this.#view.setState(state);
    this.#bringUpToDate();
  }

  #bringUpToDate(): void {
    const extension = this.#chosenExtension();
    this.#view.dispatch({ effects: this.#chosen.reconfigure(extension) });
  }

  #chosenExtension(): Extension {
    const readOnly = EditorState.readOnly.of(this.#readOnly);
    if (!this.#preferences) return readOnly;
    const { indent, wrap } = this.#preferences;
    const unit = indent === "tab" ? "\t" : " ".repeat(Number(indent));
    return [
      readOnly,
      Prec.highest(this.#keys),
      wrap ? EditorView.lineWrapping : [],
      indent === "auto" ? [] : [Prec.high(indentUnit.of(unit)), EditorState.tabSize.of(indent === "tab" ? 4 : Number(indent))],
    ];
  }

  #nameExtension(name: string): Extension {
    return [
      indentUnit.of(indentation(name)),
      // It can have the focus as it is; the tab index says so to those that look for one in what scrolls.
      EditorView.contentAttributes.of({ "aria-label": `Code of ${name}`, "aria-description": DESCRIPTION, tabindex: "0" }),
    ];
  }

  #newState({ name, text }: SourceFile): EditorState {
    return EditorState.create({
      doc: text,
      // In front: a set of keys goes before the usual ones.
      extensions: [this.#chosen.of(this.#chosenExtension()), this.#common, this.#name.of(this.#nameExtension(name)), this.#language.of([])],
    });
  }

  async #highlight(index: number): Promise<void> {
    const name = this.#names[index];
    if (name === undefined) return;
    await this.#usable;
    const extension = await grammar(name);
    // The files may be others by now: look the name up again.
    const now = this.#names.indexOf(name);
    if (now >= 0) this.#reconfigure(now, this.#language, extension);
  }

  #reconfigure(index: number, compartment: Compartment, extension: Extension): void {
    this.#dispatch(index, compartment.reconfigure(extension));
  }

  #dispatch(index: number, effects: StateEffect<unknown>): void {
    if (index === this.#active) this.#view.dispatch({ effects });
    else this.#states[index] = this.#state(index).update({ effects }).state;
  }
}
