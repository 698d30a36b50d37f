/**
 * The code side of the page: which language, which files, which arguments, and that none of it gets lost.
 *
 * Every change is kept in the browser under its language. Code that somebody wrote and that an example or a
 * shared link replaces is put aside first, and can be brought back from the menu of examples.
 */

import type { Example, Language } from "./api";
import { NameDialog } from "./dialogs";
import { byId, hasKeyboard } from "./dom";
import { Editor, type EditorPreferences } from "./editor";
import { ExamplesMenu } from "./examples";
import {
  addFile,
  fileNameProblem,
  freeFileName,
  MAX_FILES,
  moveFile,
  parseProject,
  removeFile,
  renameFile,
  sameProject,
  type Project,
} from "./lib/project";
import type { Place, Problem } from "./lib/problems";
import type { Shared } from "./lib/share";
import { asString, type Store } from "./lib/storage";
import type { Notice } from "./notice";
import { fileEnding } from "./syntax";
import { Tabs } from "./tabs";

/** Long enough not to write at every key, short enough to lose nothing worth mentioning. */
const SAVE_DELAY = 300;

/** What newcomers see first, where the server has it: it is the language most of them read. */
const PREFERRED = "python";

/** What a main file of that name would come to; undefined where it is what the language's tools expect. */
function mainFileHint(name: string, { sourceFile, title }: Language): string | undefined {
  const ending = fileEnding(sourceFile);
  if (fileEnding(name) === ending) return undefined;
  return `The main file is run as ${title}: its tools may not take it without “.${ending}” at its end.`;
}

const ofExample = (language: Language, example: Example): Project => ({
  files: [{ name: language.sourceFile, text: example.code }],
  args: "",
});

export class Workbench {
  readonly #store: Store;
  readonly #notice: Notice;
  readonly #languages: readonly Language[];
  readonly #select = byId("language", HTMLSelectElement);
  readonly #args = byId("args", HTMLInputElement);
  readonly #editor = new Editor(byId("editor", HTMLElement), () => this.#changed());
  readonly #names = new NameDialog();
  readonly #tabs: Tabs;
  readonly #examples: ExamplesMenu;
  #language: Language;
  #active = 0;
  /** Names and arguments; the texts are the editor's. */
  #project: Project = { files: [], args: "" };
  #saving: ReturnType<typeof setTimeout> | undefined;
  /** Called with the main file's name. */
  onShown: (name: string) => void = () => undefined;
  /** Called for an example that needs a terminal. */
  onTerminalWanted: () => void = () => undefined;

  constructor(languages: readonly Language[], store: Store, notice: Notice) {
    this.#languages = languages;
    const kept = store.get("language", asString);
    const find = (wanted: string | undefined): Language | undefined => languages.find(({ name }) => name === wanted);
    const first = find(kept) ?? find(PREFERRED) ?? languages[0];
    if (!first) throw new RangeError("there is no language");
    this.#language = first;
    this.#store = store;
    this.#notice = notice;
    this.#tabs = new Tabs({
      select: (index) => this.#selectFile(index),
      rename: (index) => this.#renameFile(index),
      remove: (index) => this.#removeFile(index),
      move: (from, to) => this.#moveFile(from, to),
    });
    this.#examples = new ExamplesMenu((example) => this.#openExample(example));
    this.#select.replaceChildren(
      ...languages.map(({ name, title, version }) => new Option(`${title} ${version}`.trim(), name)),
    );
    this.#select.disabled = false;
    this.#select.addEventListener("change", () => this.chooseLanguage(this.#select.value));
    this.#args.addEventListener("input", () => this.#changed());
    byId("file-add", HTMLButtonElement).addEventListener("click", () => this.#addFile());
    window.addEventListener("pagehide", () => this.save());
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.save();
    });
    byId("code-keys", HTMLElement).addEventListener("click", ({ target }) => this.#pressKey(target));
    this.#openLanguage(first);
  }

  get language(): Language {
    return this.#language;
  }

  get project(): Project {
    return { files: this.#editor.files, args: this.#args.value };
  }

  focus(): void {
    this.#editor.focus();
  }

  configure(preferences: EditorPreferences): void {
    void this.#editor.configure(preferences);
  }

  /** Marks what a run has shown to be wrong, until the next edit. */
  mark(problems: readonly Problem[]): void {
    this.#editor.mark(problems);
  }

  /** Opens the file, and puts the cursor there. Nothing happens where the file is gone by now. */
  goTo(place: Place): void {
    const index = this.#fileNames.indexOf(place.file);
    if (index < 0) return;
    this.#selectFile(index);
    this.#editor.goTo(place);
  }

  chooseLanguage(name: string): void {
    const language = this.#languages.find((other) => other.name === name);
    if (!language || language === this.#language) return;
    this.save();
    this.#notice.hide();
    this.#openLanguage(language);
  }

  /** Opens what a link carries. False when this server does not have its language. */
  openShared({ language, project }: Shared): boolean {
    if (!this.#languages.some(({ name }) => name === language)) return false;
    this.chooseLanguage(language);
    this.#replace(project, "This is the code from the link.");
    return true;
  }

  save(): void {
    clearTimeout(this.#saving);
    this.#saving = undefined;
    if (!this.#store.set(`project:${this.#language.name}`, this.project)) {
      this.#notice.show("This browser does not let the page keep your code: save it elsewhere before you leave.");
    }
  }

  #openLanguage(language: Language): void {
    this.#language = language;
    this.#select.value = language.name;
    this.#store.set("language", language.name);
    const [example] = language.examples;
    const empty = { files: [{ name: language.sourceFile, text: "" }], args: "" };
    const fallback = example ? ofExample(language, example) : empty;
    this.#load(this.#store.get(`project:${language.name}`, parseProject) ?? fallback);
    this.#showExamples();
  }

  #showExamples(): void {
    const aside = this.#store.get(`aside:${this.#language.name}`, parseProject);
    this.#examples.show(this.#language.examples, aside && (() => this.#replace(aside, "This is your earlier code.")));
  }

  #openExample(example: Example): void {
    if (example.tty) this.onTerminalWanted();
    this.#replace(ofExample(this.#language, example), `This is the example “${example.title}”.`);
    if (hasKeyboard()) this.focus();
  }

  /** Puts other code in place, and what was there aside if it is anybody's work. */
  #replace(project: Project, words: string): void {
    const before = this.project;
    const language = this.#language;
    if (sameProject(project, before)) return;
    if (this.#isOwnWork(before)) {
      this.#store.set(`aside:${language.name}`, before);
      this.#notice.show(`${words} Your own was put aside.`, {
        label: "Bring it back",
        run: () => {
          this.chooseLanguage(language.name);
          this.#load(before);
          this.save();
        },
      });
    } else {
      this.#notice.hide();
    }
    this.#load(project);
    this.save();
    this.#showExamples();
  }

  #isOwnWork(project: Project): boolean {
    const nothing = project.files.every(({ text }) => text.trim() === "");
    return !nothing && !this.#language.examples.some((it) => sameProject(ofExample(this.#language, it), project));
  }

  #load(project: Project): void {
    this.#project = project;
    this.#active = 0;
    this.#args.value = project.args;
    this.#editor.load(project.files);
    this.#showTabs();
  }

  #pressKey(target: EventTarget | null): void {
    if (!(target instanceof HTMLElement)) return;
    const { key, text, after } = target.dataset;
    if (key === "undo") this.#editor.undo();
    else if (key === "indent") this.#editor.indent();
    else if (text !== undefined) this.#editor.insert(text, after);
  }

  #changed(): void {
    this.#saving ??= setTimeout(() => this.save(), SAVE_DELAY);
  }

  #showTabs(): void {
    const names = this.#fileNames;
    this.#tabs.show(names, this.#active);
    this.onShown(names[0] ?? "");
  }

  get #fileNames(): string[] {
    return this.#project.files.map(({ name }) => name);
  }

  #selectFile(index: number): void {
    if (index === this.#active) return;
    this.#active = index;
    this.#editor.select(index);
    this.#showTabs();
  }

  #addFile(): void {
    if (this.#project.files.length >= MAX_FILES) {
      this.#notice.show(`A program can have ${MAX_FILES} files at most.`);
      return;
    }
    this.#names.ask({
      title: "Add a file",
      name: freeFileName(this.#project),
      verb: "Add",
      check: (name) => fileNameProblem(name, this.#fileNames),
      done: (name) => {
        this.#project = addFile(this.#project, name);
        this.#active = this.#project.files.length - 1;
        this.#editor.add({ name, text: "" });
        this.#showTabs();
        this.#changed();
        this.focus();
      },
    });
  }

  #renameFile(index: number): void {
    const old = this.#fileNames[index] ?? "";
    const others = this.#fileNames.filter((_, i) => i !== index);
    this.#names.ask({
      title: `Rename ${old}`,
      name: old,
      verb: "Rename",
      check: (name) => fileNameProblem(name, others),
      hint: (name) => (index === 0 ? mainFileHint(name, this.#language) : undefined),
      done: (name) => {
        this.#project = renameFile(this.#project, index, name);
        this.#editor.rename(index, name);
        this.#showTabs();
        this.#changed();
      },
      ...(index > 0 && { makeMain: () => this.#moveFile(index, 0) }),
    });
  }

  #moveFile(from: number, to: number): void {
    this.#project = moveFile(this.#project, from, to);
    this.#editor.move(from, to);
    this.#active = to;
    this.#showTabs();
    this.#changed();
  }

  #removeFile(index: number): void {
    const before = this.project;
    const language = this.#language;
    const file = before.files[index];
    if (before.files.length === 1 || !file) return;
    this.#project = removeFile(this.#project, index);
    this.#selectAfterRemoval(index);
    this.#changed();
    if (file.text.trim() === "") return;
    this.#notice.show(`“${file.name}” was removed.`, {
      label: "Bring it back",
      run: () => {
        this.chooseLanguage(language.name);
        this.#load(before);
        this.save();
      },
    });
  }

  #selectAfterRemoval(index: number): void {
    if (this.#active !== index) this.#editor.select(index);
    this.#editor.remove(index);
    this.#active = Math.min(index, this.#project.files.length - 1);
    this.#showTabs();
  }
}
