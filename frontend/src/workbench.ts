/**
 * The code side of the page: which language, which files, which arguments, and that none of it gets lost.
 *
 * Every change is kept in the browser under its language. Code that somebody wrote and that an example or a
 * shared link replaces is put aside first, and can be brought back from the menu of examples.
 */

import type { Example, Language } from "./api";
import { NameDialog } from "./dialogs";
import { byId, hasKeyboard } from "./dom";
import { Editor } from "./editor";
import { ExamplesMenu } from "./examples";
import {
  addFile,
  fileNameProblem,
  freeFileName,
  MAX_FILES,
  parseProject,
  removeFile,
  renameFile,
  sameProject,
  type Project,
} from "./lib/project";
import type { Shared } from "./lib/share";
import { asString, type Store } from "./lib/storage";
import type { Notice } from "./notice";
import { Tabs } from "./tabs";

/** Long enough not to write at every key, short enough to lose nothing worth mentioning. */
const SAVE_DELAY = 300;

/** What newcomers see first, where the server has it: it is the language most of them read. */
const PREFERRED = "python";

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
  readonly #rename = byId("file-rename", HTMLButtonElement);
  readonly #remove = byId("file-remove", HTMLButtonElement);
  readonly #editor = new Editor(byId("editor", HTMLElement), () => this.#changed());
  readonly #names = new NameDialog();
  readonly #tabs: Tabs;
  readonly #examples: ExamplesMenu;
  #language: Language;
  #active = 0;
  /** Names and arguments; the texts are the editor's. */
  #project: Project = { files: [], args: "" };
  #saving: ReturnType<typeof setTimeout> | undefined;
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
    });
    this.#examples = new ExamplesMenu((example) => this.#openExample(example));
    this.#select.replaceChildren(
      ...languages.map(({ name, title, version }) => new Option(`${title} ${version}`.trim(), name)),
    );
    this.#select.disabled = false;
    this.#select.addEventListener("change", () => this.chooseLanguage(this.#select.value));
    this.#args.addEventListener("input", () => this.#changed());
    byId("file-add", HTMLButtonElement).addEventListener("click", () => this.#addFile());
    this.#rename.addEventListener("click", () => this.#renameFile(this.#active));
    this.#remove.addEventListener("click", () => this.#removeFile(this.#active));
    window.addEventListener("pagehide", () => this.save());
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.save();
    });
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

  #changed(): void {
    this.#saving ??= setTimeout(() => this.save(), SAVE_DELAY);
  }

  #showTabs(): void {
    const names = this.#fileNames;
    this.#tabs.show(names, this.#active);
    const active = names[this.#active] ?? "";
    this.#rename.setAttribute("aria-label", `Rename ${active}`);
    this.#remove.setAttribute("aria-label", `Remove ${active}`);
    this.#remove.hidden = names.length === 1;
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
    const check = (name: string): string | undefined => fileNameProblem(name, this.#fileNames);
    this.#names.ask("Add a file", freeFileName(this.#project), check, (name) => {
      this.#project = addFile(this.#project, name);
      this.#active = this.#project.files.length - 1;
      this.#editor.add({ name, text: "" });
      this.#showTabs();
      this.#changed();
      this.focus();
    });
  }

  #renameFile(index: number): void {
    const old = this.#fileNames[index] ?? "";
    const others = this.#fileNames.filter((_, i) => i !== index);
    this.#names.ask(`Rename ${old}`, old, (name) => fileNameProblem(name, others), (name) => {
      this.#project = renameFile(this.#project, index, name);
      this.#editor.rename(index, name);
      this.#showTabs();
      this.#changed();
    });
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
