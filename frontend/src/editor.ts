/** The code editor: CodeMirror with one state per file, so that each keeps its history and its cursor. */

import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import {
  bracketMatching,
  foldGutter,
  foldKeymap,
  indentOnInput,
  indentUnit,
  syntaxHighlighting,
} from "@codemirror/language";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState, type Extension } from "@codemirror/state";
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
import type { SourceFile } from "./lib/project";
import { grammar, indentation } from "./syntax";

/** Whether the editor can be left with Tab is said to those who can't see the hint in the help. */
const DESCRIPTION = "Tab indents. To leave the editor press Escape, then Tab, or press F6.";

export class Editor {
  readonly #view: EditorView;
  readonly #language = new Compartment();
  readonly #name = new Compartment();
  readonly #common: Extension;
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
      rectangularSelection(),
      crosshairCursor(),
      highlightActiveLine(),
      highlightSelectionMatches(),
      search({ top: true }),
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
        if (update.docChanged) onChange();
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

  remove(index: number): void {
    this.#keep();
    this.#names.splice(index, 1);
    this.#states.splice(index, 1);
    this.#show(Math.min(index, this.#names.length - 1));
  }

  focus(): void {
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
      extensions: [this.#common, this.#name.of(this.#nameExtension(name)), this.#language.of([])],
    });
  }

  async #highlight(index: number): Promise<void> {
    const name = this.#names[index];
    if (name === undefined) return;
    const extension = await grammar(name);
    // The files may be others by now: look the name up again.
    const now = this.#names.indexOf(name);
    if (now >= 0) this.#reconfigure(now, this.#language, extension);
  }

  #reconfigure(index: number, compartment: Compartment, extension: Extension): void {
    const effects = compartment.reconfigure(extension);
    if (index === this.#active) this.#view.dispatch({ effects });
    else this.#states[index] = this.#state(index).update({ effects }).state;
  }
}
